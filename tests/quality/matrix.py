"""Every price model x aggregation x sign, every override, option, fee and correction, as events of many tenants.

The lists are read from the catalog's models, so that what is added there fails until it is covered here.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, get_args

import polars as pl

from valueverse.catalog import prices
from valueverse.catalog.meters import Aggregation
from valueverse.catalog.plans import Charge, Fee, Plan
from valueverse.lake_tables import EVENTS_TABLE

NOVEMBER = datetime(2023, 11, 1, tzinfo=UTC)
FIRST_RUN, LATE, SECOND_RUN = (datetime(2023, 12, 10, tzinfo=UTC), datetime(2023, 12, 15, tzinfo=UTC),
                               datetime(2024, 1, 10, tzinfo=UTC))  # fmt: skip
_TIERS = [
    {"up_to": "10", "unit": "0.5", "flat": "3"},
    {"up_to": "100", "unit": "0.3", "per": "7", "cap": "12.5"},
    {"up_to": None, "unit": "0.1", "flat": "1"},
]
PRICES: dict[str, list[dict[str, Any]]] = {
    "standard": [{"unit": "0.333333333333333333"}],
    "graduated": [{"tiers": _TIERS, "bill_flat_at_zero": False}],
    "volume": [{"tiers": _TIERS, "bill_flat_at_zero": True}],
    "package": [{"size": "7", "amount": "0.35", "free": "3", "round": "down"}],
    "percentage": [
        {"rate": "1.3"},
        {"rate": "1.3", "fixed": "0.1", "free_events": 1, "free_amount": "20", "min_per_event": "0.15",
         "max_per_event": "0.4"},
    ],
    "graduated_percentage": [{"tiers": [{"up_to": "10", "rate": "3.1", "flat": "1"}, {"up_to": None, "rate": "0.7"}]}],
    "matrix": [{"dimensions": ["region"], "cells": [{"region": "eu", "unit": "0.7"}], "default_unit": "0.2"}],
    "dynamic": [{"amount": "paid"}, {"multiplier": "1.7"}],
    "capacity": [
        {"meters": ["m"], "tiers": [{"limits": {"m": "10"}, "amount": "5"}, {"limits": {}, "amount": "50"}]}
    ],
    "bucketed": [
        {"every": "day", "price": {"model": "graduated", "tiers": _TIERS}},
        {"every": "hour", "price": {"model": "standard", "unit": "2"}, "commitment": "5", "overage_factor": "1.5",
         "true_up": True, "time_of_day": [{"from": "09:00", "to": "17:00", "commitment": "1", "true_up": False}]},
    ],
    "formula": [{"amount": "max(quantity - 5, 0) * 0.3"}],
    "outcome": [
        {"value_model": "saved", "output": "benefit", "share": "0.2", "floor": "10", "cap": "100", "period": "quarter",
         "true_up": "none", "dispute_days": 5, "refund": True}
    ],
}  # fmt: skip
"""By model, prices that together state every field it has."""
OPTIONS: dict[str, dict[str, Any]] = {
    "convert": {"convert": {"divide_by": "7", "round": "half_up"}},
    "included": {"included": "4"},
    "discount_percent": {"discount_percent": "12.5"},
    "minimum": {"minimum": "20"},
    "maximum": {"maximum": "1.5"},
    "when": {"when": {"region": "eu"}},
    "split_by": {"split_by": ["region"], "included": "4", "minimum": "30"},
    "timing": {"timing": "in_arrears"},
    "prorate": {"prorate": "day", "round_prorated": 5},
    "across_segments": {"across_segments": True},
    "taxes": {"taxes": ["vat"]},
    "name": {"name": "Another name"},
}
"""By field of a charge, an override that states it."""
PLAN_OVERRIDES: dict[str, dict[str, Any]] = {
    "fees": {"fees": [{"key": "f0", "amount": "17"}]},
    "charges": {"charges": [{"key": "d", "meter": "m2", "price": {"model": "standard", "unit": "0.11"}}]},
    "commitment": {"commitment": {"minimum": "400"}},
    "threshold": {"threshold": "5"},
    "taxes": {"taxes": ["vat"]},
    "trial": {"trial": {"days": 10}},
    "name": {"name": "Another plan"},
}
"""By field of a plan, overrides that state it."""
UNSTATED = {"key", "version", "currency", "period"}
"""What identifies a plan or when it bills: no override of a price."""
CORRECTIONS = ("late", "amended", "voided", "invoice_voided", "credit_note", "ended", "changed", "coupon", "wallet")
SIGNS = {"positive": 1, "negative": -1, "none": 0}


def models() -> list[str]:
    """Names of the price models."""
    found = get_args(get_args(prices.PriceModel)[0])
    return [get_args(one.model_fields["model"].annotation)[0] for one in found]


def model_fields(model: str) -> set[str]:
    """Fields of a price model but its name."""
    (one,) = (each for each in get_args(get_args(prices.PriceModel)[0])
              if get_args(each.model_fields["model"].annotation)[0] == model)  # fmt: skip
    return {name for name in one.model_fields if name != "model"}


def fees() -> list[dict[str, Any]]:
    """A fee of every timing x proration x way to state the amount."""
    kinds = product(*(get_args(Fee.model_fields[name].annotation) for name in ("timing", "prorate")), (True, False))
    return [
        {"key": f"f{number}", "timing": timing, "prorate": prorate}
        | ({"amount": "31"} if whole else {"unit_amount": "0.7", "quantity": "3"})
        for number, (timing, prorate, whole) in enumerate(kinds)
    ]


def _meter(key: str, event_type: str, aggregation: str) -> dict[str, Any]:
    unique = aggregation == "unique_count"
    more: dict[str, Any] = {} if aggregation == "count" else {"value": "user" if unique else "n"}
    more |= {"operation": "op"} if unique else {}
    return {"key": key, "event_type": event_type, "aggregation": aggregation, "dimensions": ["region"]} | more


def catalog(price: dict[str, Any], aggregation: str) -> dict[str, Any]:
    """One meter, one plan with a charge of this price and every kind of fee, and another plan to change to."""
    charge = {"key": "c", "meter": "m", "price": price}
    if price["model"] in {"capacity", "outcome"}:
        del charge["meter"]
    plan = {"key": "p", "period": {"align": "calendar"}, "fees": fees(), "charges": [charge]}
    other = {"key": "q", "period": {"align": "calendar"}, "charges": [charge]}
    return {
        "schema": "valueverse.catalog/v1",
        "currency": "USD",
        "meters": [_meter("m", "used", aggregation), _meter("m2", "other", "sum")],
        "plans": [plan, other],
        "taxes": [{"key": "vat", "percent": "19.6"}],
        "coupons": [{"key": "tenth", "percent": "10"}, {"key": "five", "amount": "5", "currency": "USD"}],
    }


class World:
    """Events of many tenants in the columns of the lake."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, tenant: str, kind: str, time: datetime, data: Any, **more: Any) -> str:
        """One event; gives its id. The same source and ids in every tenant."""
        number = f"e{sum(1 for row in self.rows[-2000:] if row['tenant'] == tenant)}"
        self.rows.append(
            {"tenant": tenant, "source": "app", "id": number, "type": kind, "time": time, "event_date": time.date(),
             "data": None if data is None else json.dumps(data), "received_at": time} | more
        )  # fmt: skip
        return number

    def use(self, tenant: str, customer: str, sign: int) -> list[str]:
        """Usage of November and December: two regions, several a day, some users leave."""
        ids = []
        for month, (day, n, region, op) in product((0, 30), USES):
            time = NOVEMBER + timedelta(days=month + day, hours=day)
            data = {"n": str(sign * n), "paid": str(n / 4), "region": region, "user": f"u{n % 3}", "op": op}
            ids.append(self.add(tenant, "used", time, data, subject=customer, customer=customer))
        # Two sources, one id and one instant: the greater source is the later one, wherever its row stands.
        for month, (source, n, op) in product((0, 30), (("z", 9, "remove"), ("a", 2, "add"))):
            data = {"n": str(sign * n), "paid": "1", "region": "eu", "user": "u4", "op": op}
            time, more = (
                NOVEMBER + timedelta(days=month + 20, hours=21),
                {"source": source, "id": f"{customer}-{month}"},
            )
            self.add(tenant, "used", time, data, subject=customer, customer=customer, **more)
        return ids

    def start(self, tenant: str, customer: str, overrides: dict[str, Any] | None = None) -> None:
        """A customer and its subscription, both named alike in every tenant."""
        self.add(tenant, "billing.customer.created", NOVEMBER, {"customer": customer, "name": customer})
        data = {"subscription": f"s-{customer}", "customer": customer, "plan": "p"}
        self.add(
            tenant, "billing.subscription.started", NOVEMBER, data | ({"overrides": overrides} if overrides else {})
        )

    def frame(self, received_by: datetime) -> pl.DataFrame:
        """What had been received."""
        rows = [row for row in self.rows if row["received_at"] <= received_by]
        return pl.DataFrame(rows, schema=EVENTS_TABLE.schema)


USES = ((0, 5, "eu", "add"), (0, 8, "us", "add"), (3, 13, "eu", "add"), (9, 21, "us", "remove"), (20, 4, "eu", "add"))


def tenant_of(model: str, number: int, aggregation: str) -> str:
    """Name of the tenant of a cell."""
    return f"{model}{number}-{aggregation}".replace("_", "-")


def world() -> World:
    """All tenants."""
    made = World()
    for model in models():
        for (number, price), aggregation in product(enumerate(PRICES[model]), get_args(Aggregation)):
            tenant = tenant_of(model, number, aggregation)
            document = catalog({"model": model} | price, aggregation)
            made.add(tenant, "billing.catalog.published", NOVEMBER - timedelta(days=300), document)
            for name, sign in SIGNS.items():
                made.start(tenant, name)
                if sign:
                    made.use(tenant, name, sign)
            if aggregation == "sum":
                _overridden(made, tenant, document["plans"][0]["charges"][0])
                _corrected(made, tenant)
    return made


def _overridden(made: World, tenant: str, charge: dict[str, Any]) -> None:
    stated = {f"charge-{name}": {"charges": [{"key": "c"} | option]} for name, option in OPTIONS.items()}
    if charge["price"]["model"] in {"capacity", "outcome", "bucketed"}:
        # Days are counted of single quantities.
        stated.pop("charge-prorate")
    if charge["price"]["model"] == "outcome":
        stated.pop("charge-when"), stated.pop("charge-split_by")
    for name, overrides in (stated | {f"plan-{name}": one for name, one in PLAN_OVERRIDES.items()}).items():
        customer = name.replace("_", "-")
        made.start(tenant, customer, overrides)
        made.use(tenant, customer, 1)


def _corrected(made: World, tenant: str) -> None:
    for kind in CORRECTIONS:
        made.start(tenant, kind)
        first, second, *_ = made.use(tenant, kind, 1)
        day = NOVEMBER + timedelta(days=12)
        late = {"subject": kind, "customer": kind, "received_at": LATE}
        data = {"n": "100", "paid": "7", "region": "eu", "user": "u9", "op": "add"}
        match kind:
            case "late":
                made.add(tenant, "used", day, data, **late)
            case "amended":
                made.add(tenant, "used", NOVEMBER, data, **late, replaces=first)
            case "voided":
                made.add(tenant, "used", NOVEMBER, None, **late, replaces=second)
            case "ended":
                made.add(tenant, "billing.subscription.ended", day, {"subscription": f"s-{kind}"}, received_at=LATE)
            case "changed":
                made.add(tenant, "billing.subscription.changed", day, {"subscription": f"s-{kind}", "plan": "q"})
            case "coupon":
                for coupon in ("tenth", "five"):
                    made.add(tenant, "billing.coupon.applied", NOVEMBER, {"customer": kind, "coupon": coupon})
            case "wallet":
                grant = {"customer": kind, "wallet": "w", "amount": "7", "currency": "USD"}
                made.add(tenant, "billing.wallet.granted", NOVEMBER, grant)


def stated_fields() -> dict[str, set[str]]:
    """What charges and plans may state, and what of it is overridden here: both sides have to be equal."""
    return {
        "charge": set(Charge.model_fields) - {"key", "meter", "price", "round_prorated"},
        "plan": set(Plan.model_fields) - UNSTATED,
    }
