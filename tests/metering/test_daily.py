"""What a meter comes to on a day, for each aggregation, against plain Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from tests.support.ledger import World, instant
from valueverse.metering.daily_usage import derive_daily_usage
from valueverse.schemas.metering import DAILY_USAGE

KINDS = ("count", "sum", "min", "max", "avg", "latest", "unique_count", "weighted_sum")
Reading = tuple[int, int, int, str, str]


def world() -> World:
    return World({"meters": [{"key": kind, "event_type": "used", "aggregation": kind, "value": "n"} for kind in KINDS]})


def by_hand(kind: str, events: list[tuple[int, int, str]]) -> Fraction | None:
    """Events of one day and owner in order: place in the day, value, operation."""
    values = [Fraction(value) for _, value, _ in events]
    if kind == "unique_count":
        present: set[int] = set()
        for _, value, operation in events:
            (present.discard if operation == "remove" else present.add)(value)
        return Fraction(len(present))
    return {
        "count": sum(values),
        "sum": sum(values),
        "min": min(values),
        "max": max(values),
        "avg": sum(values) / len(values),
        "latest": values[-1],
        "weighted_sum": None,
    }[kind]


EVENTS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 86_399), st.integers(-50, 90), st.sampled_from(["", "a", "b"]),
              st.sampled_from(["add", "remove"])),
    min_size=1,
    max_size=12,
    unique_by=lambda one: (one[0], one[1]),
)  # fmt: skip


@law(40)
@given(EVENTS)
def test_a_day_is_what_the_meter_comes_to_on_that_day_alone(events: list[Reading]) -> None:
    acme, expected = world(), defaultdict(list)
    for day, second, value, dimensions, operation in events:
        at = instant("2024-03-01") + timedelta(days=day, seconds=second)
        for kind in KINDS:
            members = {"text_value": str(value), "operation": operation} if kind == "unique_count" else {}
            number = None if kind == "unique_count" else "1" if kind == "count" else str(value)
            acme.use(at.isoformat(), kind, number, dimensions=dimensions, **members)
            expected[kind, day, dimensions].append((second, 1 if kind == "count" else value, operation))
    found = {
        (row["meter"], (row["day"] - instant("2024-03-01").date()).days, row["dimensions"]): row
        for row in derive_daily_usage(acme.usage_frame(), acme.history().meters).iter_rows(named=True)
    }
    assert found.keys() == expected.keys()
    for key, readings in expected.items():
        wanted = by_hand(key[0], sorted(readings))
        quantity = found[key]["quantity"]
        if wanted is None:
            assert quantity is None, key
        else:
            assert abs(Fraction(quantity) - wanted) <= Fraction(1, 2 * 10**18), key
        assert (found[key]["events"], found[key]["aggregation"]) == (len(readings), key[0])


def test_a_maximum_is_no_sum() -> None:
    acme = world()
    for value in ("75", "26", "57"):
        acme.use("2024-03-05", "max", value)
    assert derive_daily_usage(acme.usage_frame(), acme.history().meters)["quantity"].to_list() == [Decimal(75)]


def test_members_that_are_carried_over_have_no_quantity_of_a_day() -> None:
    meter = {
        "key": "unique_count",
        "event_type": "used",
        "aggregation": "unique_count",
        "value": "n",
        "carry_over": True,
    }
    acme = World({"meters": [meter]})
    acme.use("2024-03-05", "unique_count", None, text_value="ann")
    row = derive_daily_usage(acme.usage_frame(), acme.history().meters).row(0, named=True)
    assert (row["quantity"], row["events"], row["aggregation"]) == (None, 1, "unique_count")


def test_the_catalog_in_force_as_the_day_ends_says_how_a_meter_aggregates() -> None:
    acme = world()
    meters = [{"key": "max", "event_type": "used", "aggregation": "sum", "value": "n"}]
    acme.record("catalog.published", "2024-03-06T12:00:00+00:00", {"schema": "valueverse.catalog/v1", "meters": meters})
    for day in ("2022-12-31", "2024-03-05", "2024-03-06", "2024-03-07"):
        for value in ("3", "4"):
            acme.use(day, "max", value)
    found = derive_daily_usage(acme.usage_frame(), acme.history().meters).sort("day")
    assert found.select("aggregation", "quantity").rows() == [("max", 4), ("max", 4), ("sum", 7), ("sum", 7)]


@pytest.mark.parametrize("kind", ["sum", "max"])
def test_usage_of_a_meter_that_no_catalog_has_is_counted_without_a_quantity(kind: str) -> None:
    acme = World({"meters": []})
    acme.use("2024-03-05", kind, "3")
    row = derive_daily_usage(acme.usage_frame(), acme.history().meters).row(0, named=True)
    assert (row["quantity"], row["events"], row["aggregation"]) == (None, 1, None)
    assert derive_daily_usage(acme.usage_frame().clear(), acme.history().meters).schema == pl.Schema(DAILY_USAGE)
