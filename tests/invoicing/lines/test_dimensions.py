"""Dimensions that only some prices look at: maxima, distinct values and levels do not add up over them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.support.ledger import World, bill_together

AGGREGATIONS = ("sum", "count", "min", "max", "avg", "latest", "unique_count", "weighted_sum")
TIERS = [{"up_to": "5", "unit": "2", "flat": "1"}, {"up_to": None, "unit": "1"}]
PRICES: dict[str, dict[str, Any]] = {
    "standard": {"model": "standard", "unit": "2"},
    "graduated": {"model": "graduated", "tiers": TIERS},
    "volume": {"model": "volume", "tiers": TIERS},
    "package": {"model": "package", "size": "3", "amount": "2"},
    "percentage": {"model": "percentage", "rate": "10"},
    "percentage by event": {"model": "percentage", "rate": "10", "fixed": "1", "max_per_event": "1.2"},
    "dynamic": {"model": "dynamic", "multiplier": "3"},
    "capacity": {"model": "capacity", "tiers": [{"limits": {"meter": "8"}, "amount": "5"}, {"amount": "50"}]},
    "bucketed": {"model": "bucketed", "every": "day", "price": {"model": "standard", "unit": "2"}},
    "formula": {"model": "formula", "amount": "quantity * 2 + 1"},
}
USED = (("2024-01-02", "eu", "5", "a"), ("2024-01-03", "eu", "7", "b"), ("2024-01-04", "us", "4", "a"),
        ("2024-01-05", "us", "3", "a"))  # fmt: skip


def world(aggregation: str, price: dict[str, Any], *, dimensions: bool, tenant: str = "acme") -> World:
    """A company whose one charge prices four events of January."""
    meter = {"key": "meter", "event_type": "used", "aggregation": aggregation}
    if aggregation != "count":
        meter["value"] = "n"
    if dimensions:
        meter |= {"dimensions": ["region"]}
    plan = {
        "key": "pro",
        "period": {"align": "calendar"},
        "charges": [{"key": "use", "meter": "meter", "price": price}],
    }
    one = World({"meters": [meter], "plans": [plan]}, tenant=tenant)
    one.start("2024-01-01")
    for day, region, value, user in USED:
        more = {"dimensions": f'{{"region":"{region}"}}' if dimensions else ""}
        one.use(day, "meter", "1" if aggregation == "count" else value, text_value=user, operation="add", **more)
    return one


def billed(documents: list[dict[str, Any]]) -> tuple[str, str]:
    """Quantity and amount of the one usage line."""
    (document,) = documents
    (line,) = document["lines"]
    return line["quantity"], line["amount"]


def january(aggregation: str, price: dict[str, Any], *, dimensions: bool) -> tuple[str, str]:
    """Quantity and amount of the one usage line of a company billed alone."""
    return billed(world(aggregation, price, dimensions=dimensions).documents("2024-01-01", "2024-02-01"))


@pytest.fixture(scope="module")
def companies() -> dict[str, list[dict[str, Any]]]:
    """Documents of a company for every aggregation and price, with and without dimensions."""
    worlds = [
        world(aggregation, PRICES[name], dimensions=dimensions, tenant=tenant(aggregation, name, dimensions))
        for aggregation in AGGREGATIONS
        for name in PRICES
        for dimensions in (False, True)
    ]
    return bill_together(worlds, "2024-01-01", "2024-02-01")


def tenant(aggregation: str, name: str, dimensions: bool) -> str:
    return f"{aggregation}-{name}-{dimensions}"


@pytest.mark.parametrize("name", PRICES)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_dimensions_that_a_price_does_not_look_at_change_nothing(
    companies: dict[str, list[dict[str, Any]]], aggregation: str, name: str
) -> None:
    plain, split = (billed(companies[tenant(aggregation, name, dimensions)]) for dimensions in (False, True))
    assert split == plain


@pytest.mark.parametrize(
    ("aggregation", "eu", "us"),
    [
        ("sum", "12", "7"),
        ("count", "2", "2"),
        ("min", "5", "3"),
        ("max", "7", "4"),
        ("avg", "6", "3.5"),
        ("latest", "7", "3"),
        ("unique_count", "2", "1"),
    ],
)
def test_a_matrix_prices_what_the_meter_says_of_each_cell(aggregation: str, eu: str, us: str) -> None:
    cells = [{"region": "eu", "unit": "2"}, {"region": "us", "unit": "3"}]
    price = {"model": "matrix", "dimensions": ["region"], "cells": cells, "default_unit": "100"}
    quantity, amount = january(aggregation, price, dimensions=True)
    assert Decimal(quantity) == Decimal(eu) + Decimal(us)
    assert Decimal(amount) == 2 * Decimal(eu) + 3 * Decimal(us)


@pytest.mark.parametrize("aggregation", ["min", "max", "avg", "latest", "unique_count", "weighted_sum"])
def test_a_quantity_that_is_no_sum_of_events_is_one_event_of_a_percentage(aggregation: str) -> None:
    price = {"model": "percentage", "rate": "0", "fixed": "1"}
    assert january(aggregation, price, dimensions=False)[1] == "1.00"
    assert january("sum", price, dimensions=False)[1] == "4.00"
