"""The published JSON Schemas refuse what the readers refuse, and take what they take."""

from __future__ import annotations

import copy
import json
import re
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest
import yaml
from babel import Locale

from tests.quality.matrix_options import PRICES
from tests.quality.matrix_options import catalog as matrix_catalog
from tests.support.companies import AGGREGATIONS
from tests.support.value_models import EXAMPLE
from valueverse.catalog import parse_catalog
from valueverse.demo import harbor_catalog, northwind
from valueverse.documents import COUNTRIES
from valueverse.errors import RefusalError
from valueverse.events import IS_BILLING, judge_billing_event, read_lines, validate_events
from valueverse.value import library
from valueverse.value.architect.compiler import compile_model
from valueverse.value.architect.document import parse_model

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "valueverse" / "services" / "project" / "sample"
ABSENT = object()


def _schema(name: str) -> jsonschema.Draft202012Validator:
    schema = json.loads((ROOT / "docs" / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


SCHEMAS = {name: _schema(name) for name in ("catalog", "event", "value_model")}


def _read_catalog(document: Any) -> None:
    parse_catalog(json.dumps(document))


def _read_model(document: Any) -> None:
    compile_model(parse_model(json.dumps(document)))


def _read_event(document: Any) -> None:
    """As ingestion judges a line: its envelope, then the data of a billing event."""
    lines = pl.DataFrame({"line": [1], "raw": [json.dumps(document)]}, schema={"line": pl.UInt32, "raw": pl.String})
    row = validate_events(read_lines(lines), "acme", pl.lit("2024-06-01T00:00:00Z").str.to_datetime(time_zone="UTC"))
    reason, message = row.select("reason", "message").row(0)
    if reason is not None:
        raise RefusalError(reason, message)
    if row.select(IS_BILLING).item() and document["data"] is not None:
        judge_billing_event(document["type"], "acme", document["data"], parse_catalog)


READERS = {"catalog": _read_catalog, "event": _read_event, "value_model": _read_model}


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
        )
    ),
]  # fmt: skip


def changed(document: Any, path: str, value: Any) -> Any:
    found = copy.deepcopy(document)
    *parents, last = path.split(".")
    inner = found
    for name in parents:
        inner = inner[int(name) if isinstance(inner, list) else name]
    if value is ABSENT:
        del inner[last]
    else:
        inner[int(last) if isinstance(inner, list) else last] = value
    return found


def taken(kind: str, document: Any) -> list[str]:
    """Who of reader and schema takes a document."""
    try:
        READERS[kind](document)
    except RefusalError:
        read = []
    else:
        read = ["reader"]
    return read + (["schema"] if SCHEMAS[kind].is_valid(document) else [])


@pytest.mark.parametrize(("kind", "document"), GOOD, ids=[f"{kind}-{place}" for place, (kind, _) in enumerate(GOOD)])
def test_the_documents_that_are_changed_below_are_taken_by_both(kind: str, document: Any) -> None:
    assert [error.message for error in SCHEMAS[kind].iter_errors(document)] == []
    assert taken(kind, document) == ["reader", "schema"]


@pytest.mark.parametrize("kind", READERS)
def test_a_wrong_document_is_refused_by_its_reader_and_by_its_schema(kind: str) -> None:
    rows = [(document, path, value) for one, document, path, value in WRONG if one == kind]
    found = {f"{path} = {value!r:.60}": taken(kind, changed(document, path, value)) for document, path, value in rows}
    assert {change: by for change, by in found.items() if by} == {}
    assert len(rows) > 40


def test_every_price_and_aggregation_that_billing_is_tested_with_is_taken_by_the_schema() -> None:
    taken_by_reader = []
    prices = [{"model": model} | one for model, several in PRICES.items() for one in several]
    for price, aggregation in product(prices, AGGREGATIONS):
        document = json.loads(json.dumps(matrix_catalog(price, aggregation)))
        with suppress(RefusalError):
            parse_catalog(json.dumps(document))
            taken_by_reader.append(document)
    wrong = [error.message[:200] for one in taken_by_reader for error in SCHEMAS["catalog"].iter_errors(one)]
    assert (wrong, len(taken_by_reader) > 100) == ([], True)


def _samples() -> list[tuple[str, Any]]:
    catalogs = [yaml.safe_load((SAMPLE / name).read_text(encoding="utf-8")) for name in ("catalog.yaml", "dearer.yaml")]
    catalogs += [json.loads(json.dumps(one)) for one in (harbor_catalog.CATALOG, northwind.CATALOG)]
    models = [yaml.safe_load(text) for text in (EXAMPLE, *map(library.text, library.names()))]
    events = [json.loads(line) for path in SAMPLE.glob("*.ndjson") for line in path.read_text().splitlines()]
    return [
        *(("catalog", one) for one in catalogs),
        *(("value_model", one) for one in models),
        *(("event", one) for one in events),
    ]


def test_every_sample_that_is_shipped_is_taken_by_its_schema() -> None:
    found = _samples()
    assert {kind for kind, _ in found} == set(SCHEMAS)
    wrong = [(kind, error.message[:200]) for kind, one in found for error in SCHEMAS[kind].iter_errors(one)]
    assert wrong == []


def test_every_price_of_the_reference_cases_is_taken_by_the_schema_of_prices() -> None:
    schema = SCHEMAS["catalog"].schema
    charge = jsonschema.Draft202012Validator({**schema["$defs"]["Charge"], "$defs": schema["$defs"]})
    names = ("convert", "included", "price", "discount_percent", "minimum", "maximum")
    wrong, count = [], 0
    for line in (ROOT / "tests" / "reference_cases" / "price.ndjson").read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        given = case.get("input", case)
        if "price" in given and not re.search(r'"error"', line):
            count += 1
            document = {"key": "k", "meter": "m", **{name: given[name] for name in names if name in given}}
            wrong += [(given["price"], error.message[:200]) for error in charge.iter_errors(document)]
    assert wrong == []
    assert count > 50


def test_countries_are_those_of_iso_3166() -> None:
    """The names that CLDR has beside them are of groups, of parts of countries, and of tests."""
    more = {"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"}
    assert {code for code in Locale("en").territories if re.fullmatch("[A-Z]{2}", code)} - more == COUNTRIES


@pytest.mark.parametrize(
    ("country", "cure"),
    [
        ("Germany", "did you mean 'DE' (Germany)?"),
        ("UK", "did you mean 'GB' (United Kingdom)?"),
        ("de", "did you mean 'DE' (Germany)?"),
        ("ZZ", "write two capitals like 'DE'"),
    ],
)
def test_a_country_that_is_none_is_refused_with_place_and_cure(country: str, cure: str) -> None:
    published = changed(CATALOG, "taxes.0.country", country)
    for kind, document, path in (
        ("customer.created", {"customer": "c1", "country": country}, "data.country"),
        ("tenant.updated", {"country": country}, "data.country"),
        ("catalog.published", published, "data.taxes[0].country"),
    ):
        with pytest.raises(RefusalError, match=re.escape(cure)) as found:
            judge_billing_event(f"billing.{kind}", "acme", document, parse_catalog)
        assert found.value.path == path
