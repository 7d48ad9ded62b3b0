"""Documents, and changes of one value each: what their readers and their JSON Schemas refuse, and what both take."""

from __future__ import annotations

from typing import Any

ABSENT = object()


def _event(kind: str, data: Any, **more: Any) -> dict[str, Any]:
    time = "2024-01-01T00:00:00Z"
    return {"specversion": "1.0", "id": "1", "source": "s", "type": kind, "time": time, "data": data, **more}


CATALOG: dict[str, Any] = {
    "schema": "valueverse.catalog/v1",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "grace": "2 days",
    "rounding": {"mode": "half_up", "level": "line"},
    "meters": [
        {"key": "calls", "event_type": "api.call", "aggregation": "count", "dimensions": ["region"]},
        {"key": "seats", "event_type": "seat", "aggregation": "sum", "value": "n", "carry_over": True},
    ],
    "plans": [
        {
            "key": "pro",
            "version": 1,
            "period": {"every": 1, "unit": "month"},
            "trial": {"days": 14},
            "fees": [{"key": "base", "amount": "10.00", "taxes": ["vat"]}],
            "charges": [
                {
                    "key": "calls",
                    "meter": "calls",
                    "when": {"region": "eu"},
                    "included": "100",
                    "price": {"model": "graduated", "tiers": [{"up_to": 10, "unit": "2"}, {"up_to": None, "unit": 1}]},
                    "discount_percent": 10,
                    "convert": {"divide_by": 1000, "round": "up"},
                },
                {"key": "seats", "meter": "seats", "price": {"model": "standard", "unit": "1"}, "prorate": "day",
                 "round_prorated": 5},
            ],
            "commitment": {"minimum": "100.00"},
            "threshold": "500",
        }
    ],
    "coupons": [{"key": "launch", "percent": "20", "periods": 3}, {"key": "gift", "amount": "5", "currency": "EUR"}],
    "taxes": [{"key": "vat", "percent": "19", "country": "DE"}],
    "metrics": [
        {"key": "nps", "mart": "fct_usage", "column": "score", "month": "day", "aggregation": "mean"},
    ],
}  # fmt: skip
MODEL: dict[str, Any] = {
    "schema": "valueverse.value_model/v1",
    "model": "saved",
    "currency": "USD",
    "axis": {"grain": "month", "periods": 12, "start": "2024-01-01", "discount": {"rate": 0.1}},
    "units": {"base": ["ticket"]},
    "inputs": {
        "tickets": {"unit": "ticket/month", "bind": {"metric": "usage.tickets"}, "missing": {"default": 1}},
        "cost": {"unit": "USD/ticket", "dist": {"pert": [8, 11, 15]}, "evidence": ["e1"]},
        "share": 0.5,
        "setup": {"unit": "USD", "value": "2 * 1000"},
    },
    "variables": {"avoided": {"unit": "ticket/month", "expr": "tickets * share"}},
    "drivers": {"saving": {"kind": "cost_saving", "expr": "avoided * cost", "risk": 0.2}},
    "costs": {"setup": {"expr": "setup", "at": 0}},
    "scenarios": {"agreed": {"tickets": 100}, "base": {}},
    "outputs": ["npv", {"percentiles": [5, 95]}],
    "pricing": {"output": "realised.saving", "share": 0.25, "cap": "60000 USD/year"},
    "evidence": {"e1": {"title": "A study", "year": 2020}},
}  # fmt: skip
CUSTOMER = _event("billing.customer.created", {"customer": "c1", "country": "DE", "tax_rates": ["vat", {"percent": 7}]})
ONE_OFF = _event("billing.one_off.added", {"customer": "c1", "description": "x", "amount": "-5", "currency": "EUR"})
WALLET = _event("billing.wallet.granted", {"customer": "c1", "wallet": "w", "amount": 5, "currency": "EUR"})
STARTED = _event("billing.subscription.started", {"subscription": "s", "customer": "c1", "plan": "pro"})
COST = _event("billing.cost.recorded", {"amount": "1", "period": {"from": "2024-01-01", "to": "2024-02-01"}})
PUBLISHED = _event("billing.catalog.published", CATALOG)
INVOICING = _event("billing.tenant.updated", {"country": "CH", "invoicing": {"iban": "DE89 3704 0044 0532 0130 00"}})
USAGE = _event("api.call", {"n": 1}, subject="c1/s1")
VOID = _event("api.call", None, replaces="0")
GOOD = [
    ("catalog", CATALOG), ("value_model", MODEL),
    *(("event", one) for one in (CUSTOMER, ONE_OFF, WALLET, STARTED, COST, PUBLISHED, INVOICING, USAGE, VOID)),
]  # fmt: skip

PRICE, CHARGE, FEE = "plans.0.charges.0.price", "plans.0.charges.0", "plans.0.fees.0"
SLOT = {"from": "08:00", "to": "18:00"}
BUCKETS: dict[str, Any] = {"model": "bucketed", "every": "hour", "price": {"model": "standard", "unit": "1"}}
OPEN, SHUT = {"up_to": None, "unit": "1"}, {"up_to": 10, "unit": "1"}
WRONG: list[tuple[str, Any, str, Any]] = [
    *(
        ("catalog", CATALOG, path, value)
        for path, value in (
            ("schema", "valueverse.catalog/v2"), ("currency", "EURO"), ("currency", "XYZ"), ("currency", "eur"),
            ("grace", "one day"), ("grace", "P1D"), ("grace", 86400), ("timezone", "+01:00"), ("timezone", 1),
            ("plnas", []), ("rounding.mode", "nearest"), ("zero_invoices", "no"), ("plans", {}),
            ("meters.0.key", "Calls"), ("meters.0.event_type", ""), ("meters.0.event_type", "billing.used"),
            ("meters.0.aggregation", "total"), ("meters.0.dimensions", ["region", "region"]),
            ("meters.0.carry_over", True), ("meters.1.value", ABSENT), ("meters.1.value", None),
            ("meters.1.carry_over", "yes"), ("meters.0.name", "a\nb"), (f"{FEE}.amount", "ten"),
            (f"{FEE}.amount", ABSENT), (f"{FEE}.amount", "-1"), (f"{FEE}.amount", -1), (f"{FEE}.amount", "10,00"),
            (f"{FEE}.amount", True), (f"{FEE}.amount", 10**12), (f"{FEE}.unit_amount", "5"), (f"{FEE}.quantity", 5),
            (f"{FEE}.timing", "later"), (f"{FEE}.key", ABSENT), (f"{FEE}.key", 1), (f"{CHARGE}.meter", ABSENT),
            (f"{CHARGE}.meter", None), (f"{CHARGE}.price", ABSENT), (f"{CHARGE}.included", "-1"),
            (f"{CHARGE}.discount_percent", 101), (f"{CHARGE}.discount_percent", "200"),
            (f"{CHARGE}.when", {"region": None}), (f"{CHARGE}.convert", {"divide_by": "10", "multiply_by": "10"}),
            (f"{CHARGE}.convert.divide_by", 0), (f"{CHARGE}.convert.divide_by", "0"), (f"{CHARGE}.round_prorated", 2),
            ("plans.0.charges.1.round_prorated", 19), (PRICE, "0.02"), (f"{PRICE}.model", "tiered"),
            (f"{PRICE}.tiers", []), (f"{PRICE}.tiers", [SHUT]), (f"{PRICE}.tiers", [OPEN, OPEN]),
            (f"{PRICE}.tiers.0.unit", "cheap"), (f"{PRICE}.tiers.1.unit", "1000000"), (f"{PRICE}.tiers.0.up_to", 0),
            (f"{PRICE}.tiers.0.up_to", ABSENT), (f"{PRICE}.bill_flat_at_zero", 1), (PRICE, {"model": "standard"}),
            (PRICE, {"model": "package", "size": 0, "amount": 1}), (PRICE, {"model": "dynamic"}),
            (PRICE, {"model": "dynamic", "amount": "cost", "multiplier": 2}),
            (PRICE, {"model": "graduated_percentage", "tiers": [{"up_to": 5, "rate": 1}]}),
            (PRICE, {"model": "percentage", "rate": "1.3 %"}),
            (PRICE, {"model": "matrix", "dimensions": [], "cells": []}),
            (PRICE, {"model": "matrix", "dimensions": ["region"], "cells": [{"region": "eu"}]}),
            (PRICE, {"model": "capacity", "tiers": [{"limits": {"calls": 5}, "amount": 1}]}),
            (PRICE, BUCKETS | {"every": "minute"}), (PRICE, BUCKETS | {"time_of_day": [SLOT | {"from": "8:00"}]}),
            ("plans.0.period.every", 0), ("plans.0.period.every", "two"), ("plans.0.period.unit", "fortnight"),
            ("plans.0.trial.days", -1), ("plans.0.trial.days", 1.5), ("plans.0.threshold", 0),
            ("plans.0.commitment", {}), ("plans.0.version", 0), ("coupons.0.percent", "a fifth"),
            ("coupons.0.percent", ABSENT), ("coupons.0.periods", 0), ("coupons.0.amount", "5"),
            ("coupons.1.currency", ABSENT), ("coupons.0.currency", "EUR"), ("taxes.0.percent", "nineteen"),
            ("taxes.0.percent", 119), ("taxes.0.percent", "19 %"), ("taxes.0.country", "Germany"),
            ("taxes.0.country", "UK"), ("taxes.0.country", "de"), ("metrics.0.key", "usage.calls"),
            ("metrics.0.mart", "usage"), ("metrics.0.column", "Score"), ("metrics.0.aggregation", "median"),
            (f"{FEE}.amount", "0." + "1" * 19), (f"{FEE}.amount", "-0.1"), ("grace", "3661 days"),
            ("grace", "87841 hours"), ("plans.0.period.every", "0"), ("plans.0.period.every", "1001"),
            ("plans.0.trial.days", "3661"), ("plans.0.version", "-1"), ("plans.0.charges.1.round_prorated", "19"),
            ("meters.1.rounding", {"places": "-13"}),
            (PRICE, {"model": "percentage", "rate": 1, "free_events": 10**12}),
            ("meters.0.name", "zero\u200bwidth"), ("taxes.0.name", "no\u00a0break"),
            (PRICE, {"model": "matrix", "dimensions": ["region"], "cells": [{"values": {"region": 5}, "unit": 1}]}),
            (PRICE, {"model": "matrix", "dimensions": ["region"], "cells": [{"values": "eu", "unit": 1}]}),
            (PRICE, BUCKETS | {"price": {"model": "capacity", "tiers": [{"amount": "1"}]}}),
            (PRICE, BUCKETS | {"price": {"model": "dynamic", "amount": "cost"}}),
            (PRICE, BUCKETS | {"time_of_day": [SLOT | {"price": {"model": "dynamic", "amount": "cost"}}]}),
        )
    ),
    *(
        ("event", *wrong)
        for wrong in (
            (USAGE, "specversion", "0.3"), (USAGE, "id", ""), (USAGE, "id", "a\nb"), (USAGE, "id", "x" * 257),
            (USAGE, "id", 1), (USAGE, "source", ABSENT), (USAGE, "time", "2024-01-01T00:00:00"),
            (USAGE, "time", "2024-01-01"), (USAGE, "time", "1969-01-01T00:00:00Z"),
            (USAGE, "time", "2024-13-01T00:00:00Z"), (USAGE, "time", 1704067200),
            (USAGE, "time", "2024-01-01T00:00:60Z"), (USAGE, "data", ABSENT), (USAGE, "data", None),
            (USAGE, "data", []), (USAGE, "subject", "a/b/c"), (USAGE, "subject", ""), (USAGE, "tenant", "Acme"),
            (USAGE, "type", "billing.used"), (CUSTOMER, "type", "billing.customer.made"),
            (CUSTOMER, "data.customer", ABSENT), (CUSTOMER, "data.customer", "a/b"), (CUSTOMER, "data.customer", ""),
            (CUSTOMER, "data.customer", 7), (CUSTOMER, "data.country", "Germany"), (CUSTOMER, "data.country", "XX"),
            (CUSTOMER, "data.country", "de"), (CUSTOMER, "data.currency", "EURO"),
            (CUSTOMER, "data.timezone", "+01:00"), (CUSTOMER, "data.tax_rates", [101]),
            (CUSTOMER, "data.tax_rates", [{}]), (CUSTOMER, "data.tax_rates", [{"percent": "Nineteen"}]),
            (CUSTOMER, "data.tax_rates", "vat"), (CUSTOMER, "data.metadata", "x"), (ONE_OFF, "data.amount", "five"),
            (ONE_OFF, "data.amount", "5 EUR"), (ONE_OFF, "data.amount", True), (ONE_OFF, "data.amount", 10**12),
            (ONE_OFF, "data.amount", "1e"), (ONE_OFF, "data.description", ""), (ONE_OFF, "data.currency", ABSENT),
            (ONE_OFF, "data.service_period", {"from": "2024-01-01T00:00:00"}), (WALLET, "data.amount", -1),
            (WALLET, "data.amount", "-1"), (WALLET, "data.priority", 0), (WALLET, "data.priority", "1"),
            (WALLET, "data.expires_at", "2025-01-01T00:00:00"), (WALLET, "data.expires_at", "01.01.2025"),
            (WALLET, "data.restrict_to", "tokens"), (STARTED, "data.anchor_date", "2024-02"),
            (STARTED, "data.plan", "Pro"), (STARTED, "data.ends_at", "2300-01-01"),
            (STARTED, "data.plan_version", 1.5), (STARTED, "data.overrides", []),
            (STARTED, "data.quantities", {"seats": "-1"}), (COST, "data.period.from", "January"),
            (COST, "data.amount", "1,5"), (PUBLISHED, "data.plans.0.fees.0.amount", "ten"),
            (PUBLISHED, "data.taxes.0.country", "Germany"), (PUBLISHED, "data.schema", ABSENT),
            (INVOICING, "data.invoicing.iban", "DE89"), (INVOICING, "data.country", "SWISS"),
            (INVOICING, "data.invoicing.ibann", "x"), (INVOICING, "data.invoicing.accent", "red"),
            (INVOICING, "data.invoicing.payment_link", "http://pay.example"), (INVOICING, "data.grace", "soon"),
            (INVOICING, "data.grace", "3661 days"), (INVOICING, "data.grace", "523 weeks"),
            (INVOICING, "data.invoicing.payment_terms_days", "14"), (INVOICING, "data.invoicing.note", "a\0b"),
            (USAGE, "time", "2024-02-30T00:00:00Z"), (USAGE, "time", "2023-02-29T00:00:00Z"),
            (USAGE, "time", "2024-01-01T00:00:00+24:00"), (USAGE, "time", "2024-01-01T00:00:00+01:60"),
            (USAGE, "time", "2200-01-01T00:00:01Z"), (USAGE, "time", "1969-12-31T23:59:59Z"),
            (USAGE, "subject", "a\u200bb"), (USAGE, "data.n", 10**12), (USAGE, "data.n", [{"a": -(10**12)}]),
            (USAGE, "data.n", "a\0b"), (USAGE, "replaces", ""), (VOID, "replaces", ABSENT),
            (CUSTOMER, "data.customer", "a\u202eb"), (CUSTOMER, "data.tax_rates", ["-0.1"]),
            (CUSTOMER, "data.tax_rates", ["0." + "1" * 19]), (WALLET, "data.amount", "-0.01"),
            (WALLET, "data.amount", "0." + "1" * 19), (WALLET, "data.expires_at", "2025-01-01T00:00:00+01:60"),
            (STARTED, "data.anchor_date", "2023-02-29"), (STARTED, "data.ends_at", "2200-01-02"),
            (STARTED, "data.plan_version", "1"), (COST, "data.period.to", "2024-02-01T00:00:00+24:00"),
        )
    ),
    *(
        ("value_model", MODEL, path, value)
        for path, value in (
            ("schema", ABSENT), ("model", "a b"), ("currency", "usd"), ("axis.grain", "fortnight"),
            ("axis.periods", 0), ("axis.start", "soon"), ("axis.discount", {"rate": "a tenth"}),
            ("axis.discount.rate", 11), ("inputs.cost.value", 5), ("inputs.cost.dist", ABSENT),
            ("inputs.cost.dist", None), ("inputs.share", None), ("inputs.share", "half"), ("inputs.share", []),
            ("inputs.cost.dist", {}), ("inputs.cost.dist", {"normal": [1]}),
            ("inputs.cost.dist", {"normal": [1, "two"]}), ("inputs.cost.dist", {"normal": [1, 2], "uniform": [1, 2]}),
            ("inputs.cost.dist", {"gauss": [1, 2]}), ("inputs.cost.dist", {"normal": [1, 2], "clip": [0]}),
            ("inputs.cost.evidence", [1]), ("inputs.cost.internal", "perhaps"), ("inputs.9lives", 1),
            ("inputs.a b", 1), ("inputs.tickets.bind", {"metric": "Usage"}), ("inputs.tickets.bind.agg", "median"),
            ("inputs.tickets.missing", "guess"), ("inputs.tickets.missing", {"carry_forward": "two months"}),
            ("inputs.tickets.missing", {"default": "none"}), ("inputs.tickets.missing", {"default": 1, "zero": 1}),
            ("variables.avoided.expr", ABSENT), ("variables.avoided.expr", " "), ("variables.avoided.expr", None),
            ("drivers.saving.risk", 2), ("drivers.saving.risk", "low"), ("drivers.saving.kind", "Big win"),
            ("drivers.saving.decay", -1), ("costs.setup.at", -1), ("costs.setup.at", 1.5), ("costs.setup.expr", []),
            ("scenarios.agreed.tickets", {"value": 1, "bind": "usage.tickets"}), ("scenarios.agreed", []),
            ("outputs", "npv"), ("pricing.share", 1.5), ("pricing.output", ABSENT), ("pricing.cap", "a lot"),
            ("pricing.dispute_days", -1), ("correlations", [{"between": ["cost"], "rho": 0.1}]),
            ("evidence.e1.year", 1800), ("evidence.e1.title", ABSENT),
            ("axis.periods", "0"), ("axis.periods", "3661"), ("axis.start", "2023-02-29"), ("axis.start", "2024-13"),
            ("axis.start", "0000-01"), ("axis.discount.rate", "11"), ("inputs.cost.unit", 5), ("inputs.cost.unit", ""),
            ("inputs.cost.dist", {"normal": {"low": 1, "sd": 2}}), ("inputs.cost.dist", {"normal": [1, 2], "shape": 4}),
            ("drivers.saving.risk", "1.5"), ("drivers.saving.risk", "-0.1"), ("drivers.saving.decay", 1),
            ("drivers.saving.decay", "1"), ("costs.setup.at", "-1"), ("costs.setup.expr", "x" * 4097),
            ("outputs", [""]), ("outputs", [{}]), ("pricing.share", "1 USD"), ("pricing.dispute_days", "3661"),
            ("evidence.e1.year", "1899"), ("inputs.cost.internal", 2),
            ("correlations", [{"between": ["cost", "cost"], "rho": 0}]), ("pricing.cap", -1), ("pricing.floor", -0.01),
            ("correlations", [{"between": ["cost", "setup"], "rho": 1}]),
        )
    ),
]  # fmt: skip
RIGHT: list[tuple[str, Any, str, Any]] = [
    *(
        ("catalog", CATALOG, path, value)
        for path, value in (
            (f"{FEE}.amount", "-0"), (f"{FEE}.amount", "-0.00"), (f"{FEE}.amount", "1000000000000e-3"),
            (f"{FEE}.amount", "0.1" + "0" * 30), (f"{FEE}.amount", "\u00a05 "), ("grace", "3660 days"),
            ("grace", "000087840 hours"), ("plans.0.version", "1"), ("plans.0.period.every", "1e2"),
            ("plans.0.period.every", "+01.0"), ("meters.1.rounding", {"places": "-12"}),
            (f"{CHARGE}.when", {"region": 5}), (f"{CHARGE}.when", {"region": True}),
            (PRICE, {"model": "percentage", "rate": "1", "free_events": "1"}),
            (PRICE, {"model": "matrix", "dimensions": ["region"], "cells": [{"region": 5, "unit": 1}]}),
            (PRICE, {"model": "matrix", "dimensions": ["region"], "cells": [{"values": {"region": "eu"}, "unit": 1}]}),
            (PRICE, BUCKETS | {"price": {"model": "dynamic", "multiplier": "2"}}),
        )
    ),
    *(
        ("event", *right)
        for right in (
            (VOID, "data", ABSENT), (USAGE, "replaces", None), (USAGE, "tenant", None), (USAGE, "subject", None),
            (USAGE, "id", "a\u200bb"), (USAGE, "data.n", 999_999_999_999), (USAGE, "time", "2024-02-29T00:00:00z"),
            (USAGE, "time", "1969-12-31T23:00:00-05:00"), (USAGE, "time", "2200-01-01T00:00:00.0Z"),
            (USAGE, "time", "2200-01-01T01:00:00+01:00"), (CUSTOMER, "data.tax_rates", [" +7", "1e1", "-0", "vat"]),
            (CUSTOMER, "data.metadata", {"n": 10**12}), (WALLET, "data.amount", "-0"),
            (STARTED, "data.plan_version", 1.0), (STARTED, "data.ends_at", "2200-01-01"),
            (INVOICING, "data.grace", "522 weeks"),
        )
    ),
    *(
        ("value_model", MODEL, path, value)
        for path, value in (
            ("axis.periods", " 12 "), ("axis.start", "2024-02-29"), ("axis.discount.rate", "1/10"),
            ("axis.discount.rate", "-0.5"), ("axis.discount.rate", "007"),
            ("inputs.cost.dist", {"lognormal": {"mean": 1, "sd": 2}}),
            ("inputs.cost.dist", {"pert": [1, 2, 3], "shape": 4}),
            ("inputs.cost.dist", {"normal": [1, 2], "clip": None}),
            ("drivers.saving.risk", "1"), ("drivers.saving.risk", "-0"), ("drivers.saving.risk", "1/2"),
            ("drivers.saving.decay", "0.999"), ("costs.setup.at", "0"), ("evidence.e1.year", "2020"),
            ("pricing.dispute_days", "30"), ("pricing.cap", "3e4 USD/year"), ("inputs.cost.internal", "yes"),
            ("pricing.refund", 0), ("inputs.share", "true"),
        )
    ),
]  # fmt: skip
