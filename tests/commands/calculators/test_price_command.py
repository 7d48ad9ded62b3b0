from __future__ import annotations

from typing import Any

import pytest

from valueverse.services.calculators.price import answer

TWO_TIERS = [{"up_to": "10", "unit": "1"}, {"up_to": None, "unit": "0.5"}]
STANDARD = {"model": "standard", "unit": "2"}


def priced(**line: Any) -> dict[str, Any]:
    found = next(iter(answer([line])))
    assert isinstance(found, dict), found.as_json()
    return found


def amount(**line: Any) -> str:
    text: str = priced(**line)["amount"]
    return text


def refused(**line: Any) -> tuple[str, str]:
    found = next(iter(answer([line])))
    assert not isinstance(found, dict), found
    return found.code, found.path


def test_up_to_is_inclusive_on_decimals() -> None:
    found = priced(price={"model": "graduated", "tiers": TWO_TIERS}, quantity="10.5")
    assert found == {
        "quantity": "10.5",
        "amount": "10.25",
        "amount_rounded": "10.25",
        "tiers": [
            {"from": "0", "to": "10", "quantity": "10", "unit": "1", "flat": "0", "amount": "10"},
            {"from": "10", "to": None, "quantity": "0.5", "unit": "0.5", "flat": "0", "amount": "0.25"},
        ],
    }
    assert amount(price={"model": "volume", "tiers": TWO_TIERS}, quantity="10") == "10"
    assert amount(price={"model": "volume", "tiers": TWO_TIERS}, quantity="10.1") == "5.05"


@pytest.mark.parametrize(
    ("line", "rounded"),
    [
        (
            {
                "price": {
                    "model": "graduated",
                    "tiers": [{"up_to": "10000", "unit": "0.0030"}, {"up_to": None, "unit": "0.0020"}],
                },
                "convert": {"divide_by": "1000"},
                "quantity": "18059974",
            },
            "46.12",
        ),
        (
            {
                "price": {"model": "package", "size": "1000", "amount": "0.50", "free": "1000"},
                "quantity": "8819",
            },
            "4.00",
        ),
    ],
)
def test_real_months_of_usage(line: dict[str, Any], rounded: str) -> None:
    assert priced(**line)["amount_rounded"] == rounded


def test_a_first_flat_is_due_at_zero_usage_unless_switched_off() -> None:
    price = {"model": "graduated", "tiers": [{"up_to": None, "unit": "1", "flat": "5"}]}
    assert amount(price=price, quantity="0") == "5"
    assert amount(price=price | {"bill_flat_at_zero": False}, quantity="0") == "0"


def test_the_event_that_crosses_the_free_amount_pays_rate_above_it_and_fixed() -> None:
    price = {"model": "percentage", "rate": "1", "fixed": "0.1", "free_amount": "100", "free_events": "3"}
    events = [{"value": value} for value in ("60", "60", "10")]
    assert amount(price=price, events=events) == "0.5"  # 20 x 1 % + 0.1, then 10 x 1 % + 0.1


def test_events_count_in_the_order_of_their_times() -> None:
    price = {"model": "percentage", "rate": "10", "free_events": "1"}
    events = [{"value": "5", "time": "2026-01-02"}, {"value": "80", "time": "2026-01-01T23:00:00Z"}]
    assert amount(price=price, events=events) == "0.5"


def test_capacity_takes_the_lowest_tier_all_of_whose_limits_hold() -> None:
    tiers = [
        {"limits": {"users": "5", "storage": "10"}, "amount": "20"},
        {"limits": {"users": "20", "storage": None}, "amount": "50"},
        {"amount": "90"},
    ]
    price = {"model": "capacity", "tiers": tiers}
    cases = {
        "20": {"users": "5", "storage": "10"},
        "50": {"users": "5", "storage": "11"},
        "90": {"users": "21"},
    }
    assert [amount(price=price, quantities=used) for used in cases.values()] == list(cases)
    assert amount(price=price, quantities={}) == "20"


def test_a_matrix_prices_by_dimension_values() -> None:
    cells = [{"region": "eu", "tier": 1, "unit": "2"}, {"region": "us", "tier": 1, "unit": "3"}]
    price = {"model": "matrix", "dimensions": ["region", "tier"], "cells": cells}
    events = [
        {"value": "1", "dimensions": {"region": "eu", "tier": "1"}},
        {"value": "10", "data": {"region": "us", "tier": 1, "other": "x"}},
    ]
    assert amount(price=price, events=events) == "32"
    assert refused(price=price, events=[{"value": "1", "dimensions": {"region": "jp"}}])[0] == "no_cell"
    price["default_unit"] = "7"
    assert amount(price=price, quantity="1") == "7"
    before = {"quantity": "4", "amount": "8"}
    where = {"region": "eu", "tier": 1}
    assert amount(price=price, quantity="1", dimensions=where, billed_before=before) == "2"
    assert refused(price=price, events=events, billed_before=before)[0] == "missing_events"


def test_dynamic_adds_up_what_events_carry_or_multiplies_the_quantity() -> None:
    events = [{"value": "1", "data": {"cost": {"usd": "1.25"}}}, {"data": {"cost": {"usd": "2"}}}]
    assert amount(price={"model": "dynamic", "amount": "cost.usd"}, events=events) == "3.25"
    assert amount(price={"model": "dynamic", "multiplier": "1.5"}, quantity="3") == "4.5"
    assert refused(price={"model": "dynamic", "amount": "cost.usd"}, quantity="3") == (
        "missing_events",
        "events",
    )


def test_buckets_are_priced_alone_with_a_commitment_each() -> None:
    price = {
        "model": "bucketed",
        "every": "hour",
        "price": STANDARD,
        "commitment": "10",
        "overage_factor": "1.5",
    }
    assert amount(price=price, buckets=["3", "10"]) == "31"  # 6, and 10 + 10 x 1.5
    assert amount(price=price | {"true_up": True}, buckets=["3", "10"]) == "35"


def test_a_quantity_without_buckets_is_one_bucket_of_what_is_to_be_paid() -> None:
    price = {"model": "bucketed", "every": "hour", "price": STANDARD, "commitment": "10"}
    assert amount(price=price, quantity="3") == "6"
    assert amount(price=price, quantity="3", prorated_quantity="2") == "4"


def test_a_time_of_day_changes_only_the_terms_it_names() -> None:
    window = {"from": "22:00", "to": "06:00", "price": {"model": "standard", "unit": "1"}}
    price = {"model": "bucketed", "every": "hour", "price": STANDARD, "commitment": "10", "true_up": True}
    price["time_of_day"] = [window, {"from": "12:00", "to": "13:00", "commitment": None}]
    buckets = [{"at": at, "quantity": "12"} for at in ("05:00", "06:00", "12:00", "22:00")]
    assert amount(price=price, buckets=buckets) == "72"  # 12 + 24 + 24 + 12
    assert amount(price=price, buckets=[{"at": "23:00", "quantity": "1"}, {"at": "12:30", "quantity": "1"}]) == "12"


def test_events_of_a_bucketed_price_fall_into_local_days() -> None:
    price = {"model": "bucketed", "every": "day", "price": {"model": "package", "size": "10", "amount": "1"}}
    events = [{"value": "6", "time": f"2026-01-01T{hour}:00:00Z"} for hour in ("01", "07")]
    assert amount(price=price, events=events) == "2"
    assert amount(price=price, events=events, timezone="America/New_York") == "2"
    assert amount(price=price, events=events, timezone="Asia/Tokyo") == "2"
    assert amount(price=price | {"price": {"model": "package", "size": "6", "amount": "1"}}, events=events) == "2"


def test_a_formula_reads_the_quantity_after_included() -> None:
    price = {"model": "formula", "amount": "max(quantity - 5, 0) * 0.3"}
    assert amount(price=price, quantity="17", included="2") == "3"
    assert refused(price={"model": "formula", "amount": "1 / quantity"}, quantity="0")[0] == "no_result"


def test_the_quantity_chooses_the_tier_and_the_prorated_quantity_is_paid() -> None:
    assert amount(price={"model": "volume", "tiers": TWO_TIERS}, quantity="20", prorated_quantity="4") == "2"
    graduated = {"model": "graduated", "tiers": TWO_TIERS}
    assert amount(price=graduated, quantity="20", prorated_quantity="10") == "7.5"
    assert amount(price=graduated, quantity="3", prorated_quantity="1") == "1"
    assert amount(price=graduated, quantity="0", prorated_quantity="2") == "2"
    assert amount(price=STANDARD, quantity="10", included="10", prorated_quantity="5") == "0"


def test_a_cell_is_paid_for_the_prorated_quantity() -> None:
    cells = {"model": "matrix", "dimensions": ["region"], "cells": [{"region": "eu", "unit": "2"}]}
    placed = {"price": cells, "dimensions": {"region": "eu"}}
    assert amount(**placed, quantity="10", prorated_quantity="5") == "10"
    assert (
        amount(**placed, quantity="10", prorated_quantity="5", billed_before={"quantity": "4", "amount": "8"}) == "10"
    )


def test_a_percentage_is_paid_on_the_prorated_part_of_its_events() -> None:
    percentage = {"model": "percentage", "rate": "1", "fixed": "0.3"}
    assert amount(price=percentage, events=[{"value": "10", "prorated": "5"}]) == "0.35"
    assert amount(price=percentage, quantity="10", prorated_quantity="5") == "0.35"


def test_prorated_events_split_over_the_tiers_as_their_values_do() -> None:
    tiers = [{"up_to": "10", "unit": "1", "flat": "1"}, {"up_to": None, "unit": "0.5", "flat": "3"}]
    price = {"model": "graduated", "tiers": tiers}
    up = [{"value": "8", "prorated": "8"}, {"value": "4", "prorated": "2"}]
    assert amount(price=price, events=up) == "13.5"  # 8 + 1 in the first, 1 x 0.5 in the second, flats 1 + 3
    down = [*up, {"value": "-4", "prorated": "-1"}]
    assert amount(price=price, events=down) == "12.75"  # the top unwinds first; the flat of 3 stays due


def test_a_correction_is_the_difference_to_what_was_booked() -> None:
    price = {"model": "standard", "unit": "0.001"}
    assert priced(price=price, quantity="333")["amount_rounded"] == "0.33"
    second = priced(price=price, quantity="333", billed_before={"quantity": "333", "amount": "0.33"})
    assert (second["amount"], second["amount_rounded"]) == ("0.336", "0.34")
    back = priced(price=STANDARD, quantity="-2", billed_before={"quantity": "5", "amount": "10"})
    assert (back["quantity"], back["amount"]) == ("-2", "-4")
    assert amount(price=STANDARD, quantity="-2") == "0"


def test_minimum_and_maximum_scale_with_the_days_and_wait_for_the_end() -> None:
    half = {"days": 15, "of": 30}
    assert amount(price=STANDARD, quantity="1", minimum="10", proration=half) == "5"
    assert amount(price=STANDARD, quantity="100", maximum="10", proration=half) == "5"
    assert amount(price=STANDARD, quantity="1", minimum="10", final=False) == "2"
    assert amount(price=STANDARD, quantity="10", discount_percent="50", maximum="8", minimum="9") == "9"


def test_amounts_round_to_the_currency_in_the_mode_asked_for() -> None:
    price = {"model": "standard", "unit": "0.125"}
    modes = {"half_up": "0.13", "half_even": "0.12", "up": "0.13", "down": "0.12"}
    found = [priced(price=price, quantity="1", rounding={"mode": mode})["amount_rounded"] for mode in modes]
    assert found == list(modes.values())
    assert priced(price=STANDARD, quantity="0.75", currency="JPY")["amount_rounded"] == "2"
    assert priced(price=STANDARD, quantity="0.75", currency="BHD")["amount_rounded"] == "1.500"


def test_thirty_digits_are_exact_however_the_quantity_comes() -> None:
    long = "123456789012.123456789012345678"
    unit = {"model": "standard", "unit": "1"}
    matrix = {"model": "matrix", "dimensions": ["m"], "cells": [], "default_unit": "1"}
    lines: list[dict[str, Any]] = [
        {"price": unit, "quantity": long},
        {"price": unit, "events": [{"value": long}]},
        {"price": unit, "events": [{"value": long, "prorated": long}]},
        {"price": matrix, "quantity": long, "dimensions": {"m": "x"}},
        {"price": {"model": "bucketed", "every": "hour", "price": unit}, "buckets": [long]},
    ]
    assert {(found["quantity"], found["amount"]) for found in (priced(**line) for line in lines)} == {(long, long)}


def test_a_quantity_is_in_range_up_to_the_last_decimal_below_the_limit() -> None:
    last = "999999999999.999999999999999999"
    tiers = [{"up_to": last, "unit": "1"}, {"up_to": None, "unit": "2"}]
    assert amount(price={"model": "graduated", "tiers": tiers}, quantity=last) == last


def test_what_was_booked_is_taken_off_the_rounded_amount_as_it_is() -> None:
    mill = {"model": "standard", "unit": "0.001"}
    found = priced(price=mill, quantity="333", billed_before={"quantity": "333", "amount": "0.333"})
    assert (found["amount"], found["amount_rounded"]) == ("0.333", "0.337")
    found = priced(price=mill, quantity="333", billed_before={"quantity": "333", "amount": "0.3"})
    assert (found["amount"], found["amount_rounded"]) == ("0.366", "0.37")


@pytest.mark.parametrize(
    ("line", "code", "path"),
    [
        ({"price": {"model": "standard", "unti": "1"}, "quantity": 1}, "bad_price", "price.unti"),
        ({"price": {"model": "graduated", "tiers": []}, "quantity": 1}, "bad_price", "price.tiers"),
        (
            {"price": {"model": "graduated", "tiers": [{"up_to": "1"}]}, "quantity": 1},
            "bad_price",
            "price.tiers[0].up_to",
        ),
        (
            {"price": {"model": "volume", "tiers": [{"up_to": "5"}, {"up_to": "5"}, {"up_to": None}]}, "quantity": 1},
            "bad_price",
            "price.tiers[1].up_to",
        ),
        (
            {"price": {"model": "volume", "tiers": [{"up_to": None}, {"up_to": None}]}, "quantity": 1},
            "bad_price",
            "price.tiers[0].up_to",
        ),
        (
            {"price": {"model": "graduated", "tiers": TWO_TIERS, "bill_flat_at_zero": "no"}, "quantity": 1},
            "bad_price",
            "price.bill_flat_at_zero",
        ),
        ({"price": {"model": "standard", "unit": "-1"}, "quantity": 1}, "bad_price", "price.unit"),
        (
            {"price": {"model": "graduated", "tiers": [{"up_to": None, "unit": "-1"}]}, "quantity": 1},
            "bad_price",
            "price.tiers[0].unit",
        ),
        (
            {
                "price": {
                    "model": "bucketed",
                    "every": "hour",
                    "price": STANDARD,
                    "time_of_day": [{"from": "9:00", "to": "12:00"}],
                },
                "buckets": [1],
            },
            "bad_price",
            "price.time_of_day[0].from",
        ),
        ({"price": {"model": "standard", "unit": "1000000"}, "quantity": 1}, "out_of_range", "price.unit"),
        ({"price": {"model": "tombola"}, "quantity": 1}, "bad_price", "price.model"),
        ({"price": {}, "quantity": 1}, "bad_price", "price"),
        ({"price": STANDARD, "quantity": "1000000000000"}, "out_of_range", "quantity"),
        ({"price": STANDARD, "quantity": "0.0000000000000000001"}, "out_of_range", "quantity"),
        ({"price": STANDARD, "quantity": "1e999999999999"}, "out_of_range", "quantity"),
        ({"price": STANDARD, "quantity": "NaN"}, "not_a_number", "quantity"),
        ({"price": STANDARD, "quantity": None}, "not_a_number", "quantity"),
        ({"price": STANDARD, "quantity": {"a": 1}}, "not_a_number", "quantity"),
        ({"price": STANDARD}, "missing_quantity", ""),
        ({"quantity": 1}, "missing_price", "price"),
        ({"price": STANDARD, "quantity": 1, "minimun": 3}, "unknown_field", "minimun"),
        ({"price": STANDARD, "quantity": 1, "currency": "ZZZ"}, "unknown_currency", "currency"),
        (
            {"price": STANDARD, "quantity": 1, "proration": {"days": 1, "of": 10**11}},
            "bad_proration",
            "proration",
        ),
        ({"price": STANDARD, "quantity": 1, "convert": {"multiply_by": "999999999999"}}, "", ""),
        (
            {"price": STANDARD, "quantity": 2, "convert": {"multiply_by": "999999999999"}},
            "out_of_range",
            "quantity",
        ),
        ({"price": STANDARD, "events": [{"value": 1, "time": "soon"}]}, "bad_time", "events[0].time"),
        ({"price": STANDARD, "events": [{"valeu": 1}]}, "unknown_field", "events[0].valeu"),
        (
            {"price": {"model": "formula", "amount": "quantity * quantity * quantity"}, "quantity": 10**9},
            "no_result",
            "quantity",
        ),
        (
            {
                "price": {
                    "model": "bucketed",
                    "every": "hour",
                    "price": STANDARD,
                    "commitment": 1,
                    "overage_factor": "999999999999",
                },
                "buckets": [10**9],
            },
            "out_of_range",
            "price.overage_factor",
        ),
        (
            {
                "price": {
                    "model": "graduated",
                    "tiers": [{"up_to": None, "unit": "999999", "per": "0.000000001"}],
                },
                "quantity": "999999999",
            },
            "out_of_range",
            "quantity",
        ),
    ],
)
def test_a_bad_line_names_its_place_and_spoils_no_other(line: dict[str, Any], code: str, path: str) -> None:
    neighbour = {"price": STANDARD, "quantity": "3"}
    before, found, after = answer([neighbour, line, neighbour])
    assert before == after == priced(**neighbour)
    assert (("", "") if isinstance(found, dict) else (found.code, found.path)) == (code, path)


def test_the_largest_numbers_allowed_are_priced_exactly() -> None:
    found = priced(
        price={"model": "standard", "unit": "999999.999999"},
        quantity="999999999999.999999",
        rounding={"mode": "up"},
    )
    assert found["amount"] == "999999999998999999.000000000001"
    assert found["amount_rounded"] == "999999999998999999.01"
