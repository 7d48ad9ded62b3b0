"""What a catalog may state: every price model, option, override, fee, correction, rounding and period, with examples.

The lists are read from the catalog's models, so that what is added there fails until it is covered here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import product
from typing import Any, get_args

from valueverse.catalog import prices
from valueverse.catalog.meters import MeterRule
from valueverse.catalog.model import RoundingPolicy
from valueverse.catalog.plans import Charge, Fee, Period, Plan

NOVEMBER = datetime(2023, 11, 1, tzinfo=UTC)
FIRST_RUN, LATE, SECOND_RUN = (datetime(2023, 12, 10, tzinfo=UTC), datetime(2023, 12, 15, tzinfo=UTC),
                               datetime(2024, 1, 10, tzinfo=UTC))  # fmt: skip
TIERS = [
    {"up_to": "10", "unit": "0.5", "flat": "3"},
    {"up_to": "100", "unit": "0.3", "per": "7", "cap": "12.5"},
    {"up_to": None, "unit": "0.1", "flat": "1"},
]
PRICES: dict[str, list[dict[str, Any]]] = {
    "standard": [{"unit": "0.333333333333333333"}],
    "graduated": [{"tiers": TIERS, "bill_flat_at_zero": False}],
    "volume": [{"tiers": TIERS, "bill_flat_at_zero": True}],
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
        {"every": "day", "price": {"model": "graduated", "tiers": TIERS}},
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
    "description": {"description": "Another description"},
    "translations": {"translations": {"de": {"name": "Ein anderer Name"}}},
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
METER_OPTIONS: dict[str, dict[str, Any]] = {
    "where": {"where": "region != 'us'"},
    "rounding": {"rounding": {"mode": "half_even", "places": -1}},
    "carry_over": {"carry_over": True},
    "value": {"value": "n * 1.5 + 1"},
    "dimensions": {"dimensions": ["region", "user"]},
    "operation": {"operation": "left"},
}
"""By field of a meter, what states it in another way."""
UNSTATED = {"key", "version", "currency", "period"}
"""What identifies a plan or when it bills: no override of a price."""
CORRECTIONS = (
    "late", "amended", "voided", "invoice_voided", "credit_note", "ended", "changed", "coupon", "wallet",
    "credit_below_zero", "discount_below_zero", "threshold_voided",
)  # fmt: skip
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


def roundings() -> list[dict[str, str]]:
    """Every way to round."""
    names = ("mode", "level")
    return [dict(zip(names, one, strict=True)) for one in product(*(_stated(RoundingPolicy, name) for name in names))]


def periods() -> list[dict[str, Any]]:
    """Every unit and alignment of a period, two at a time."""
    units = product(_stated(Period, "unit"), _stated(Period, "align"))
    return [{"every": 2 if unit != "year" else 1, "unit": unit, "align": align} for unit, align in units]


def _stated(model: Any, name: str) -> tuple[Any, ...]:
    return get_args(model.model_fields[name].annotation)


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


def stated_fields() -> dict[str, set[str]]:
    """What charges and plans may state, and what of it is overridden here: both sides have to be equal."""
    return {
        "charge": set(Charge.model_fields) - {"key", "meter", "price", "round_prorated"},
        "plan": set(Plan.model_fields) - UNSTATED,
        # every aggregation has a cell of its own
        "meter": set(MeterRule.model_fields) - {"aggregation"},
    }
