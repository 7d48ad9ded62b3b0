from __future__ import annotations

from decimal import Decimal
from typing import get_args

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from valueverse.errors import RefusalError
from valueverse.money import (
    RoundingMode,
    amount_text,
    exact,
    largest_remainder,
    minor_units,
    plain,
    plain_text,
    round_decimal,
    round_exact,
)
from valueverse.schemas.types import EXACT

numbers = st.decimals(Decimal(-(10**17)), Decimal(10**17), places=18)


@pytest.mark.parametrize(("currency", "decimals"), [("USD", 2), ("JPY", 0), ("BHD", 3), ("CLF", 4)])
def test_currencies_have_the_decimals_of_iso_4217(currency: str, decimals: int) -> None:
    assert minor_units(currency) == decimals


@pytest.mark.parametrize("currency", ["XAU", "usd", "", "ZZZ"])
def test_nobody_is_invoiced_in_what_is_no_currency(currency: str) -> None:
    with pytest.raises(RefusalError, match="ISO 4217"):
        minor_units(currency)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0.5, "inexact_number"),
        (True, "not_a_number"),
        (None, "not_a_number"),
        ("1,5", "not_a_number"),
        ("Infinity", "not_a_number"),
        ("٣", "not_a_number"),
        ("1" * 21, "out_of_range"),
        ("1e-19", "out_of_range"),
        ("1e9999999", "out_of_range"),
        ("9" * 10_000, "out_of_range"),
    ],
)
def test_what_is_no_exact_number_is_refused_with_its_place(value: object, code: str) -> None:
    with pytest.raises(RefusalError) as caught:
        exact(value, "unit")
    assert (caught.value.code, caught.value.path) == (code, "unit")


def test_numbers_are_read_from_their_text() -> None:
    assert [exact(value) for value in ("1.10", " 2 ", "1e3", ".5", 7, "-0")] == list(
        map(Decimal, ("1.1", "2", "1000", "0.5", "7", "0"))
    )


@given(numbers)
def test_plain_text_reads_back_as_the_same_number_without_exponent(number: Decimal) -> None:
    assert Decimal(plain(number)) == number
    assert "E" not in plain(number)
    assert pl.select(plain_text(pl.lit(number, EXACT))).item() == plain(number)


@law(60)
@given(st.lists(numbers, min_size=1, max_size=20), st.integers(-3, 6), st.sampled_from(get_args(RoundingMode)))
def test_columns_round_as_single_numbers_do(values: list[Decimal], places: int, mode: RoundingMode) -> None:
    column = pl.DataFrame({"number": pl.Series(values, dtype=EXACT)})
    found = column.select(round_exact(pl.col("number"), places, mode))["number"].to_list()
    assert found == [round_decimal(value, places, mode) for value in values]


def test_half_is_rounded_away_from_zero_on_both_sides() -> None:
    assert amount_text(Decimal("0.125"), "USD") == "0.13"
    assert amount_text(Decimal("-0.125"), "USD") == "-0.13"
    assert amount_text(Decimal("78.5"), "JPY") == "79"


@pytest.mark.parametrize("number", ["-0.004", "-0", "0"])
def test_zero_has_no_sign(number: str) -> None:
    assert amount_text(Decimal(number), "USD") == "0.00"
    assert str(round_decimal(Decimal(number), -2)) == "0"


@law(60)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.decimals(-1000, 1000, places=4)), min_size=1, max_size=15))
def test_split_parts_add_up_to_the_total_and_stay_next_to_their_share(
    rows: list[tuple[str, Decimal]],
) -> None:
    frame = pl.DataFrame(rows, schema={"group": pl.String, "share": EXACT}, orient="row").with_row_index("order")
    total = pl.col("share").sum().over("group").round(0, mode="half_away_from_zero").cast(pl.Int64)
    split = frame.with_columns(total.alias("total")).with_columns(
        largest_remainder(pl.col("share"), pl.col("total"), ["group"], "order").alias("part")
    )
    sums = split.group_by("group").agg(pl.col("part").sum(), pl.col("total").first())
    assert (sums["part"] == sums["total"]).all()
    assert all(abs(row["part"] - row["share"]) < 1 for row in split.iter_rows(named=True))
