from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.laws import law
from valueverse.errors import RefusalError
from valueverse.schemas.types import EXACT
from valueverse.services.calculators import periods as periods_command
from valueverse.services.calculators import prorate as prorate_command
from valueverse.subscriptions.periods import ALIGNMENTS, UNITS, overlapping_periods
from valueverse.subscriptions.proration import days_30_360, prorated_amount, prorated_expr, proration_factor

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Asia/Beirut",
    "America/Havana",
    "Asia/Kathmandu",
]
DATES = st.dates(date(1990, 1, 1), date(2035, 12, 31))


def asked(**line: Any) -> list[dict[str, Any]]:
    (found,) = periods_command.answer([line])
    assert isinstance(found, dict), found
    listed: list[dict[str, Any]] = found["periods"]
    return listed


def starts(anchor: str, begin: str, end: str, **period: Any) -> list[str]:
    return [row["from"][:10] for row in asked(period=period, anchor=anchor, **{"from": begin, "to": end})]


def refused(command: Any, line: dict[str, Any]) -> tuple[str, str]:
    (found,) = command.answer([line])
    assert isinstance(found, RefusalError), found
    return found.code, found.path


@law(80)
@given(
    DATES, DATES, st.sampled_from(UNITS), st.sampled_from(ALIGNMENTS), st.integers(1, 5), st.sampled_from(ZONES),
    st.integers(1, 800),
)  # fmt: skip
def test_periods_tile_time_without_gap_or_overlap(
    anchor: date, first: date, unit: str, align: str, every: int, zone: str, days: int
) -> None:
    begin = datetime(first.year, first.month, first.day, 7, tzinfo=UTC)
    end = begin + timedelta(days=days)
    instant = pl.Datetime("us", "UTC")
    row = {
        "key": 0, "every": every, "unit": unit, "align": align, "anchor": anchor, "timezone": zone,
        "window_from": begin, "window_to": end, "start": None, "end": None,
    }  # fmt: skip
    types = dict.fromkeys(("window_from", "window_to", "start", "end"), instant)
    found = overlapping_periods(pl.DataFrame([row], schema_overrides=types))
    assert found["from"][0] <= begin
    assert found["to"][-1] >= end
    assert found["to"][:-1].to_list() == found["from"][1:].to_list()
    assert (found["used_days"] == found["full_days"]).all()


def test_a_month_end_anchor_clamps_and_never_drifts() -> None:
    found = starts("2023-01-31", "2023-02-01", "2023-06-01", unit="month")
    assert found == ["2023-01-31", "2023-02-28", "2023-03-31", "2023-04-30", "2023-05-31"]


def test_the_29th_of_february_returns_in_leap_years() -> None:
    found = starts("2024-02-29", "2024-03-01", "2028-03-01", unit="year")
    assert found == ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]


def test_calendar_weeks_start_on_monday_and_quarters_in_january() -> None:
    assert starts("2024-05-15", "2024-05-15", "2024-05-16", unit="week", align="calendar") == ["2024-05-13"]
    assert starts("2024-05-15", "2024-05-15", "2024-05-16", unit="quarter", align="calendar") == ["2024-04-01"]


def test_a_midnight_that_does_not_exist_is_the_first_instant_after_the_gap() -> None:
    rows = asked(
        period={"unit": "day"}, anchor="2018-11-03", timezone="America/Sao_Paulo",
        **{"from": "2018-11-03", "to": "2018-11-06"},
    )  # fmt: skip
    assert [row["from"] for row in rows] == [
        "2018-11-03T03:00:00Z",
        "2018-11-04T03:00:00Z",
        "2018-11-05T02:00:00Z",
    ]


def test_a_day_that_the_zone_skipped_is_no_period() -> None:
    rows = asked(
        period={"unit": "day"}, anchor="2011-12-28", timezone="Pacific/Apia",
        **{"from": "2011-12-29", "to": "2012-01-01"},
    )  # fmt: skip
    assert [row["from"] for row in rows] == ["2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z"]


def test_start_and_end_clip_and_leave_full_and_factor() -> None:
    (row,) = asked(
        period={"unit": "month"}, anchor="2024-04-01", start="2024-04-11", end="2024-04-26",
        **{"from": "2024-04-20", "to": "2024-04-21"},
    )  # fmt: skip
    assert row["from"] == "2024-04-11T00:00:00Z"
    assert row["full"] == {"from": "2024-04-01T00:00:00Z", "to": "2024-05-01T00:00:00Z"}
    assert row["factor"] == "0.5"


WINDOW = {"period": {"unit": "month"}, "anchor": "2024-01-01", "from": "2024-01-01", "to": "2024-02-01"}


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"timezone": "Mars/Base"}, "unknown_timezone", "timezone"),
        ({"timezone": ""}, "unknown_timezone", "timezone"),
        ({"timezone": "+02:00"}, "unknown_timezone", "timezone"),
        ({"period": {"unit": "fortnight"}}, "bad_period", "period.unit"),
        ({"period": {"align": "sideways"}}, "bad_period", "period.align"),
        ({"period": {"every": Decimal(-1)}}, "bad_period", "period.every"),
        ({"period": {"every": Decimal("1.5")}}, "bad_period", "period.every"),
        ({"period": None}, "bad_period", "period"),
        ({"anchor": None}, "missing_field", "anchor"),
        ({"anchor": "2024-02-30"}, "bad_time", "anchor"),
        ({"to": "2023-01-01"}, "bad_window", "to"),
        ({"to": "9999-01-01"}, "bad_time", "to"),
        ({"to": None}, "missing_field", "to"),
        ({"start": "2024-01-05", "end": "2024-01-05"}, "bad_window", "end"),
        ({"period": {"unit": "day"}, "to": "2900-01-01"}, "too_many_periods", "to"),
        ({"form": "2024-01-01"}, "unknown_field", "form"),
    ],
)
def test_periods_refuses_what_it_cannot_read(change: dict[str, Any], code: str, path: str) -> None:
    assert refused(periods_command, WINDOW | change) == (code, path)


PRORATE = {
    "amount": "100", "period": {"from": "2024-03-01", "to": "2024-04-01"},
    "used": {"from": "2024-03-16", "to": "2024-04-01"}, "timezone": "Europe/Berlin",
}  # fmt: skip


def prorate(**change: Any) -> dict[str, Any]:
    (found,) = prorate_command.answer([PRORATE | change])
    assert isinstance(found, dict), found
    return found


def test_a_day_of_23_hours_counts_one_and_its_seconds_count_as_they_are() -> None:
    assert (prorate()["factor"], prorate()["days"]) == ("0.516129032258064516", "16")
    assert prorate(basis="second")["days"] == "15.958333333333333333"
    assert prorate(basis="30_day")["factor"] == "0.5"


@pytest.mark.parametrize(
    ("billed", "credited", "amount"), [("100", "0", "51.61"), ("100", "70", "30.00"), ("5", "9", "0.00")]
)
def test_a_credit_never_exceeds_what_is_left_of_what_was_billed(billed: str, credited: str, amount: str) -> None:
    assert prorate(credit={"billed": billed, "credited": credited})["amount_rounded"] == amount


def test_a_credit_keeps_all_digits_of_what_was_billed() -> None:
    credit = {"billed": "12345678901234567890.123456789012345678", "credited": "0.000000000000000001"}
    whole = prorate(amount="99999999999999999999", used=PRORATE["period"], credit=credit)
    assert whole["amount"] == "12345678901234567890.123456789012345677"


@pytest.mark.parametrize(
    ("change", "code", "path"),
    [
        ({"used": {"from": "2024-03-16", "to": "2024-04-02"}}, "outside_period", "used.to"),
        ({"used": {"from": "2024-02-28", "to": "2024-03-02"}}, "outside_period", "used.from"),
        ({"used": {"from": "2024-03-16", "to": "2024-03-02"}}, "bad_window", "used.to"),
        ({"period": {"from": "2024-03-16", "to": "2024-03-16"}}, "bad_window", "period.to"),
        ({"basis": "week"}, "unknown_basis", "basis"),
        ({"basis": ["day"]}, "unknown_basis", "basis"),
        ({"amount": None}, "missing_field", "amount"),
        ({"amount": "x"}, "not_a_number", "amount"),
        ({"currency": "XXQ"}, "unknown_currency", "currency"),
        ({"credit": "5"}, "bad_credit", "credit"),
        ({"credit": {}}, "missing_field", "credit.billed"),
    ],
)
def test_prorate_refuses_what_it_cannot_read(change: dict[str, Any], code: str, path: str) -> None:
    assert refused(prorate_command, PRORATE | change) == (code, path)


@law(100)
@given(DATES, st.integers(1, 400), st.integers(1, 400), st.decimals("-1e9", "1e9", places=6))
def test_the_parts_of_a_stretch_come_to_the_whole(first: date, left: int, right: int, amount: Decimal) -> None:
    middle, last = first + timedelta(days=left), first + timedelta(days=left + right)
    assert days_30_360(first, middle) + days_30_360(middle, last) == days_30_360(first, last)
    tiny = Decimal("1e-18")
    parts = prorated_amount(amount, left, left + right) + prorated_amount(amount, right, left + right)
    assert abs(parts - amount) <= tiny
    assert abs(proration_factor(left, left + right) + proration_factor(right, left + right) - 1) <= tiny


@law(60)
@given(st.integers(0, 366), st.integers(1, 366), st.decimals("-1e9", "1e9", places=6))
def test_a_single_amount_and_a_column_are_prorated_alike(used: int, full: int, amount: Decimal) -> None:
    moment = pl.lit(datetime(2024, 1, 1, tzinfo=UTC), pl.Datetime("us", "UTC"))
    frame = pl.DataFrame({"a": [amount], "used_days": [used], "full_days": [full]}, schema_overrides={"a": EXACT})
    frame = frame.with_columns(moment.alias(name) for name in ("from", "full_from")).with_columns(
        (moment + pl.duration(days=1)).alias(name) for name in ("to", "full_to")
    )
    assert frame.select(prorated_expr(pl.col("a"), pl.lit("day"))).item() == prorated_amount(amount, used, full)
