"""The edges of exact numbers: the largest, the smallest, the longest text, and who gets the last minor unit."""

from __future__ import annotations

from decimal import Decimal

import polars as pl
import pytest

from valueverse.errors import RefusalError
from valueverse.money import exact, largest_remainder, minor_text, plain, plain_text, round_decimal, round_exact
from valueverse.schemas.types import EXACT


def code_of(value: object) -> str:
    with pytest.raises(RefusalError) as caught:
        exact(value)
    return caught.value.code


@pytest.mark.parametrize(
    "text",
    [
        "99999999999999999999.999999999999999999",
        "-99999999999999999999.999999999999999999",
        "0.000000000000000001",
        "1e19",
        "1e-18",
        "1E-0018",
        "1" + "0" * 19 + "." + "0" * 99,
        "0" * 119 + "7",
    ],
)
def test_20_digits_before_the_point_and_18_behind_it_are_exact_in_up_to_120_characters(text: str) -> None:
    assert len(text) <= 120
    assert exact(text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    ["1e20", "100000000000000000000", "1e-19", "0.0000000000000000001", "0" * 120 + "7", "0" * 121, "1e-00018",
     "1E" + "9" * 30, "1E-" + "9" * 30],
)  # fmt: skip
def test_one_digit_or_one_character_more_is_out_of_range(text: str) -> None:
    assert code_of(text) == "out_of_range"


def test_a_decimal_is_held_to_the_same_range_as_its_text() -> None:
    assert exact(Decimal("1E+19")) == Decimal(10) ** 19
    assert code_of(Decimal("1E+20")) == "out_of_range"
    assert code_of(Decimal("NaN")) == "not_a_number"


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"1", "1_000", "0x10", "1e", ".", "", "1 2", "+-1"])
def test_what_only_looks_like_a_number_is_none(value: object) -> None:
    assert code_of(value) == "not_a_number"


@pytest.mark.parametrize(
    ("number", "shown"),
    [("100", "100"), ("1E+3", "1000"), ("10.500", "10.5"), ("-0.00", "0"), ("-0.5", "-0.5"), ("0.000001", "0.000001")],
)
def test_a_number_is_shown_with_the_digits_it_needs_and_no_others(number: str, shown: str) -> None:
    assert plain(Decimal(number)) == shown
    assert pl.select(plain_text(pl.lit(Decimal(number), EXACT))).item() == shown


@pytest.mark.parametrize(
    ("minor", "decimals", "shown"),
    [(7881, 2, "78.81"), (79, 0, "79"), (-5, 2, "-0.05"), (0, 3, "0.000"), (1500, 3, "1.500"), (-7881, 2, "-78.81")],
)
def test_minor_units_are_shown_with_all_decimals_of_the_currency(minor: int, decimals: int, shown: str) -> None:
    assert minor_text(minor, decimals) == shown


def test_rounding_to_tens_gives_a_whole_number() -> None:
    assert str(round_decimal(Decimal(1250), -2)) == "1300"
    assert str(round_decimal(Decimal(1250), -2, "half_even")) == "1200"
    assert plain(round_decimal(Decimal("-0.5"), 0, "up")) == "0"
    assert plain(round_decimal(Decimal("-0.5"), 0, "down")) == "-1"


def test_the_longest_exact_number_is_rounded_without_losing_a_digit() -> None:
    longest = Decimal("99999999999999999999.999999999999999999")
    assert round_decimal(longest, 18) == longest
    assert round_decimal(longest, 0) == Decimal(10) ** 20


def test_rounding_is_half_away_from_zero_by_default() -> None:
    numbers = pl.Series([Decimal("0.125"), Decimal("-0.125"), Decimal("0.124")], dtype=EXACT).to_frame("number")
    assert numbers.select(round_exact(pl.col("number"), 2)).to_series().to_list() == [
        Decimal("0.13"),
        Decimal("-0.13"),
        Decimal("0.12"),
    ]
    assert round_decimal(Decimal("0.125"), 2) == Decimal("0.13")


def split(shares: list[str], totals: list[int], groups: str, order: list[int]) -> list[int]:
    frame = pl.DataFrame(
        {"share": [Decimal(share) for share in shares], "total": totals, "group": list(groups), "order": order},
        schema_overrides={"share": EXACT},
    )
    parts = largest_remainder(pl.col("share"), pl.col("total"), ["group"], "order")
    found: list[int] = frame.select(parts).to_series().to_list()
    return found


def test_the_largest_remainder_gets_the_unit_that_is_left() -> None:
    assert split(["0.3", "0.4", "0.3"], [1, 1, 1], "aaa", [0, 1, 2]) == [0, 1, 0]
    assert split(["33.3", "33.3", "33.4"], [100, 100, 100], "aaa", [0, 1, 2]) == [33, 33, 34]


def test_of_equal_remainders_the_lower_in_order_comes_first_wherever_it_stands() -> None:
    assert split(["0.5", "0.5"], [1, 1], "aa", [0, 1]) == [1, 0]
    assert split(["0.5", "0.5"], [1, 1], "aa", [1, 0]) == [0, 1]


def test_parts_below_zero_are_split_by_the_same_rule() -> None:
    assert split(["-0.5", "-0.5"], [-1, -1], "aa", [0, 1]) == [0, -1]
    assert split(["-1.2", "-1.7"], [-3, -3], "aa", [0, 1]) == [-1, -2]


def test_each_group_is_split_by_itself() -> None:
    assert split(["0.6", "0.6", "0.4", "0.4"], [1, 1, 1, 1], "abab", [0, 1, 2, 3]) == [1, 1, 0, 0]
