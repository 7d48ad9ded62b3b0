"""Costs that last for centuries: no more rows are made of them than months are asked for."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import polars as pl

from valueverse.schemas.types import EXACT
from valueverse.value.realisation.metrics import months_of, spread

LONG = (date(1970, 1, 1), date(2200, 1, 1))
SHORT = (date(2023, 11, 16), date(2023, 12, 16))


def costs(*periods: tuple[date, date]) -> pl.DataFrame:
    frame = pl.DataFrame(list(periods), schema={"service_from": pl.Date, "service_to": pl.Date}, orient="row")
    return frame.with_columns(pl.lit(30).cast(EXACT).alias("amount"))


def test_a_cost_of_centuries_makes_a_row_for_each_month_asked_for() -> None:
    november = [date(2023, 11, 1)]
    found = spread(costs(*[LONG] * 1_000, SHORT), "amount", november)
    assert found.height == 1_001
    assert found["amount"][-1] == Decimal(15)
    assert found["month"].unique().to_list() == november


def test_the_parts_of_all_months_add_up_and_a_part_is_the_same_alone() -> None:
    every = pl.date_range(*LONG, "1mo", eager=True).to_list()
    found = spread(costs(LONG), "amount", every)
    assert found["amount"].sum() == Decimal(30)
    for month in (every[0], date(2023, 2, 1), every[-2]):
        assert spread(costs(LONG), "amount", [month]).equals(found.filter(pl.col("month") == month))


def test_months_with_a_cost_are_found() -> None:
    asked = [date(2023, 10, 1), date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1)]
    assert months_of(costs(SHORT), asked) == asked[1:3]
    assert months_of(costs((date(2023, 11, 1), date(2023, 12, 1))), asked) == asked[1:2]
    assert months_of(costs(), asked) == []
    assert spread(costs(SHORT), "amount", []).is_empty()
