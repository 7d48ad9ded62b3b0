"""Rows that show how the amount of a usage line adds up, for prices and terms that the amount is proved by."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.invoicing.rendering.test_explained_lines import LINE, PRICES, STANDARD, TERMS
from valueverse.catalog import parse_pricing
from valueverse.invoicing.rendering import LineFacts, LocaleFormats, QuantityPart
from valueverse.invoicing.rendering.display_names import UnitOfPrice
from valueverse.invoicing.rendering.explanation.amount_rows import AmountRows


def test_cells_beyond_those_that_are_listed_are_summed() -> None:
    matrix = {
        "model": "matrix",
        "dimensions": ["region"],
        "cells": [{"region": "r0", "unit": "2"}],
        "default_unit": "1",
    }
    charge = parse_pricing({"price": matrix})
    parts = [
        QuantityPart("calls", {"region": f"r{place}", "size": size}, Decimal(3)) for place in range(10) for size in "sm"
    ]
    line = LINE | {"kind": "usage", "amount_precise": "66"}
    rows = AmountRows(LocaleFormats("en", "USD", ()), PRICES).of(line, charge, None, LineFacts(parts=parts))
    assert rows[:2] == [("6 of region r0 at 2.00 each", "12.00 USD"), ("6 of region r1 at 1.00 each", "6.00 USD")]
    assert (len(rows), rows[-1]) == (9, ("2 more combinations", "12.00 USD"))
    for changed in ({"included": "1"}, {"convert": {"multiply_by": "2"}}, {"discount_percent": "10"}):
        other = parse_pricing({"price": matrix} | changed)
        assert AmountRows(LocaleFormats("en", "USD", ()), PRICES).of(line, other, None, LineFacts(parts=parts)) == []


def test_a_value_that_events_lack_is_no_cell() -> None:
    cells = [{"region": "None", "unit": "2"}]
    price = {"model": "matrix", "dimensions": ["region"], "cells": cells, "default_unit": "1"}
    charge = parse_pricing({"price": price})
    parts = [QuantityPart("calls", {"region": value}, Decimal(3)) for value in (None, "None")]
    line = LINE | {"kind": "usage", "amount_precise": "9"}
    assert AmountRows(LocaleFormats("en", "USD", ()), PRICES).of(line, charge, None, LineFacts(parts=parts)) == [
        ("3 of region None at 2.00 each", "6.00 USD"),
        ("3 without region at 1.00 each", "3.00 USD"),
    ]
    assert PRICES.price(charge.price, {"region": None}).endswith("(else 1.00 USD)")


TEN_UP = {"convert": {"divide_by": "10", "round": "up"}}


def test_each_combination_of_a_matrix_is_a_row_with_its_own_rounding() -> None:
    matrix = {"model": "matrix", "dimensions": ["region"], "cells": [{"region": "eu", "unit": "0.5"}]}
    charge = parse_pricing({"price": matrix | {"default_unit": "0.1"}} | TEN_UP)
    parts = [QuantityPart("calls", {"region": key}, Decimal(value)) for key, value in (("eu", 11), ("us", 5))]
    line = LINE | {"kind": "usage", "amount_precise": "1.1", "quantity": "2"}
    rows = AmountRows(LocaleFormats("en", "USD", ()), PRICES)
    assert rows.of(line, charge, UnitOfPrice("mats", "10"), LineFacts(parts=parts)) == [
        ("11 of region eu: 2 at 0.50 per 10 mats", "1.00 USD"),
        ("5 of region us: 1 at 0.10 per 10 mats", "0.10 USD"),
    ]
    parts[0] = QuantityPart("calls", {"region": "eu"}, Decimal(10) ** 12)
    assert rows.of(line, charge, None, LineFacts(parts=parts)) == []
    assert "rounded up to whole ones, each combination by itself." in str(TERMS.conversion(charge, "mats"))


STEPS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], list[tuple[str, str]]]] = {
    "a minimum": (
        STANDARD | {"minimum": "7"}, {"quantity": "1", "amount_precise": "7"}, {},
        [("1 at 1.00 each", "1.00 USD"), ("raised to the minimum", "6.00 USD")],
    ),
    "a minimum for a part of a period": (
        STANDARD | {"minimum": "6"}, {"quantity": "1", "amount_precise": "3"}, {"days": (15, 30)},
        [("1 at 1.00 each", "1.00 USD"), ("raised to the minimum", "2.00 USD")],
    ),
    "a minimum that is due later": (
        STANDARD | {"minimum": "7"}, {"quantity": "1", "amount_precise": "1"}, {"ongoing": True},
        [("1 at 1.00 each", "1.00 USD")],
    ),
    "a discount and a maximum": (
        STANDARD | {"discount_percent": "10", "maximum": "5", "included": "2"},
        {"quantity": "12", "amount_precise": "5"}, {},
        [("10 at 1.00 each", "10.00 USD"), ("less 10 %", "\u22121.00 USD"), ("cut to the maximum", "\u22124.00 USD")],
    ),
    "packages": (
        {"price": {"model": "package", "amount": "2", "size": "10", "free": "5"}, "discount_percent": "50"},
        {"quantity": "16", "amount_precise": "2"}, {},
        [("2 packages of 10 at 2.00 each", "4.00 USD"), ("less 50 %", "\u22122.00 USD")],
    ),
    "full packages": (
        {"price": {"model": "package", "amount": "2", "size": "10", "round": "down"}, "discount_percent": "50"},
        {"quantity": "16", "amount_precise": "1"}, {},
        [("1 package of 10 at 2.00 each", "2.00 USD"), ("less 50 %", "\u22121.00 USD")],
    ),
    "a multiplier": (
        {"price": {"model": "dynamic", "multiplier": "1.5"}, "minimum": "9"},
        {"quantity": "4", "amount_precise": "9"}, {},
        [("4 times 1.5", "6.00 USD"), ("raised to the minimum", "3.00 USD")],
    ),
    "a formula": (
        {"price": {"model": "formula", "amount": "quantity"}, "minimum": "9"},
        {"quantity": "4", "amount_precise": "9"}, {}, [],
    ),
    "no quantity": (STANDARD | {"minimum": "7"}, {"quantity": None, "amount_precise": "7"}, {}, []),
    "terms that do not lead to the amount": (
        STANDARD | {"minimum": "7"}, {"quantity": "1", "amount_precise": "8"}, {}, [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", STEPS)
def test_what_discount_maximum_and_minimum_make_of_a_price_are_rows(case: str) -> None:
    terms, line, facts, rows = STEPS[case]
    shown = AmountRows(LocaleFormats("en", "USD", ()), PRICES)
    assert shown.of(LINE | {"kind": "usage"} | line, parse_pricing(terms), None, LineFacts(**facts)) == rows


def test_a_tier_without_units_is_a_row_only_for_its_fixed_amount() -> None:
    charge = parse_pricing({"price": {"model": "graduated", "tiers": [{"up_to": None, "unit": "0.01", "flat": "3"}]}})
    tier = {"from": "0", "to": None, "quantity": "0", "unit": "0.01", "flat": "3", "amount": "3"}
    line = LINE | {"kind": "usage", "tiers": [tier]}
    rows = AmountRows(LocaleFormats("en", "USD", ()), PRICES)
    assert rows.of(line, charge, None, LineFacts()) == [("0 at 0.01 each, plus 3.00", "3.00 USD")]
    assert rows.of(line | {"tiers": [tier | {"flat": "0", "amount": "0"}]}, charge, None, LineFacts()) == []
