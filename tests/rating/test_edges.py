"""Just inside the range a line is priced to the last digit, just outside it alone says so."""

from __future__ import annotations

from typing import Any

import pytest

from valueverse.services.calculators.price import answer

STANDARD = {"model": "standard", "unit": "2"}
BLOCKS = {"model": "graduated", "tiers": [{"up_to": None, "unit": "0.0001", "per": "0.001"}]}
DEAR = {"model": "graduated", "tiers": [{"up_to": None, "unit": "999999", "per": "1"}]}


def answered(line: dict[str, Any]) -> str:
    """The amount, or the code of the refusal; a good line beside it must never notice."""
    one, other = answer([line, {"price": STANDARD, "quantity": "3"}])
    assert isinstance(other, dict)
    assert other["amount"] == "6"
    return str(one["amount"]) if isinstance(one, dict) else one.code


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"price": STANDARD, "quantity": "999999999999"}, "1999999999998"),
        ({"price": STANDARD, "quantity": "999999999", "convert": {"multiply_by": "1000"}}, "1999999998000"),
        ({"price": STANDARD, "quantity": "1000000000", "convert": {"multiply_by": "1000"}}, "out_of_range"),
        ({"price": STANDARD, "quantity": "999999999", "convert": {"divide_by": "0.001"}}, "1999999998000"),
        ({"price": STANDARD, "quantity": "1000000000", "convert": {"divide_by": "0.001"}}, "out_of_range"),
        ({"price": STANDARD, "quantity": "999999999999", "convert": {"divide_by": "1000"}}, "1999999999.998"),
        ({"price": BLOCKS, "quantity": "999999999.999"}, "99999999.9999"),
        ({"price": BLOCKS, "quantity": "1000000000"}, "out_of_range"),
        ({"price": DEAR, "quantity": "1000000000"}, "999999000000000"),
        ({"price": DEAR, "quantity": "1000001001"}, "out_of_range"),
    ],
)
def test_the_range_ends_where_it_ends_and_nowhere_before(line: dict[str, Any], expected: str) -> None:
    assert answered(line) == expected


@pytest.mark.parametrize(
    ("convert", "quantity"),
    [
        ({"divide_by": "3", "round": "up"}, "4"),
        ({"divide_by": "3", "round": "down"}, "3"),
        ({"divide_by": "4", "round": "half_up"}, "3"),
        ({"divide_by": "4", "round": "half_even"}, "2"),
        ({"divide_by": "4"}, "2.5"),
        ({"multiply_by": "0.25", "round": "up"}, "3"),
        ({"multiply_by": "0.25", "round": "down"}, "2"),
        ({"multiply_by": "0.25"}, "2.5"),
    ],
)
def test_converted_units_are_rounded_only_as_the_charge_says(convert: dict[str, str], quantity: str) -> None:
    (found,) = answer([{"price": STANDARD, "quantity": "10", "convert": convert}])
    assert isinstance(found, dict)
    assert found["quantity"] == quantity


@pytest.mark.parametrize(
    ("quantity", "per", "blocks"),
    [("10", "10", "1"), ("10.000000000000000001", "10", "2"), ("0.3", "0.1", "3"), ("1", "0.3", "4"), ("0", "5", "0"),
     ("999999999999", "3", "333333333333"), ("999999999998", "3", "333333333333")],
)  # fmt: skip
def test_a_block_is_started_by_the_smallest_part_of_it_and_by_no_rounding(quantity: str, per: str, blocks: str) -> None:
    tiers = [{"up_to": None, "unit": "1", "per": per}]
    for model in ("graduated", "volume"):
        assert answered({"price": {"model": model, "tiers": tiers}, "quantity": quantity}) == blocks
    assert answered({"price": {"model": "package", "size": per, "amount": "1"}, "quantity": quantity}) == blocks


@pytest.mark.parametrize(
    ("cap", "amounts"), [("5", ["4", "5", "5", "5"]), ("0", ["0", "0", "0", "0"]), (None, ["4", "5", "6", "12"])]
)
def test_a_cap_bounds_what_its_tier_costs_flat_included(cap: str | None, amounts: list[str]) -> None:
    tiers = [{"up_to": None, "unit": "1", "flat": "2", "cap": cap}]
    price = {"model": "graduated", "tiers": tiers}
    assert [answered({"price": price, "quantity": quantity}) for quantity in ("2", "3", "4", "10")] == amounts


@pytest.mark.parametrize(("level", "shown"), [("line", "0.07"), ("tier", "0.08")])
def test_level_tier_rounds_each_tier_before_they_are_summed(level: str, shown: str) -> None:
    tiers = [{"up_to": "1", "unit": "0.035"}, {"up_to": None, "unit": "0.035"}]
    line = {"price": {"model": "graduated", "tiers": tiers}, "quantity": "2", "rounding": {"level": level}}
    (found,) = answer([line])
    assert isinstance(found, dict)
    assert found["amount_rounded"] == shown


@pytest.mark.parametrize(
    ("events", "amount"),
    [
        (["100"], "0"),
        (["100.01"], "0.501"),
        (["60", "40", "10"], "1.5"),
        (["60", "40.5", "10"], "2.05"),
        (["1", "1", "1", "1"], "0.6"),
        (["30", "30", "30", "30", "30"], "7"),
    ],
)
def test_the_allowance_that_ends_first_ends_both(events: list[str], amount: str) -> None:
    # Rate 10 % and 0.5 per paid event; three events free, and 100 of their values.
    price = {"model": "percentage", "rate": "10", "fixed": "0.5", "free_events": "3", "free_amount": "100"}
    assert answered({"price": price, "events": [{"value": value} for value in events]}) == amount


@pytest.mark.parametrize(("value", "amount"), [("1", "0.5"), ("5", "0.5"), ("20", "2"), ("30", "3"), ("31", "3")])
def test_an_event_costs_no_less_and_no_more_than_its_bounds(value: str, amount: str) -> None:
    price = {"model": "percentage", "rate": "10", "min_per_event": "0.5", "max_per_event": "3"}
    assert answered({"price": price, "events": [{"value": value}]}) == amount


@pytest.mark.parametrize(
    ("quantity", "true_up", "amount"),
    [
        ("4", False, "8"),
        ("5", False, "10"),
        ("6", False, "13"),
        ("4", True, "10"),
        ("5", True, "10"),
        ("6", True, "13"),
    ],
)
def test_a_bucket_s_commitment_is_met_by_exactly_it(quantity: str, *, true_up: bool, amount: str) -> None:
    # Committed 10 per hour at 2 a unit; what lies above costs half as much again.
    price = {"model": "bucketed", "every": "hour", "price": STANDARD, "commitment": "10", "overage_factor": "1.5"}
    assert answered({"price": price | {"true_up": true_up}, "buckets": [quantity]}) == amount


def test_events_that_count_by_days_are_converted_before_they_fill_tiers() -> None:
    tiers = [{"up_to": "10", "unit": "1"}, {"up_to": None, "unit": "0.5"}]
    # 8 units whole; of the 4 after them 2 are in each tier, and half of each counts.
    events = [{"value": "16", "prorated": "16"}, {"value": "8", "prorated": "4"}]
    line = {"price": {"model": "graduated", "tiers": tiers}, "events": events, "convert": {"divide_by": "2"}}
    assert answered(line) == "9.5"


def test_a_cell_is_paid_for_the_prorated_part_of_its_events() -> None:
    price = {"model": "matrix", "dimensions": ["region"], "cells": [{"region": "eu", "unit": "2"}]}
    events = [{"value": "10", "prorated": "4", "dimensions": {"region": "eu"}}]
    assert answered({"price": price, "events": events}) == "8"


def test_what_one_cell_takes_back_is_not_taken_off_the_others() -> None:
    price = {"model": "matrix", "dimensions": ["region"], "cells": [{"region": "eu", "unit": "1"}]}
    events = [{"value": value, "dimensions": {"region": region}} for value, region in (("5", "eu"), ("-3", "us"))]
    assert answered({"price": price | {"default_unit": "10"}, "events": events}) == "5"
    assert answered({"price": price, "events": events}) == "5"
    assert answered({"price": price, "events": [*events, {"value": "4", "dimensions": {"region": "eu"}}],
                     "included": "6"}) == "3"  # fmt: skip
