"""Windows of a question about usage."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from tests.metering.helpers import at, meters, usage
from valueverse.metering import UsageQuestion, answer_usage

if TYPE_CHECKING:
    import polars as pl

HALF_HOURS = [at("2026-01-01") + timedelta(minutes=30 * number) for number in range(365 * 48)]


def counted(zone: str, times: list[str]) -> pl.DataFrame:
    frame = usage(*({"time": at(time), "value": Decimal(1)} for time in times)).lazy()
    (tenant, meter) = frame.select("tenant", "meter").unique().collect().row(0)
    return answer_usage(frame, meters("count"), UsageQuestion(tenant, meter, size="hour", timezone=zone))


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (
            ["2026-10-03T15:00:00", "2026-10-03T15:00:01", "2026-10-03T15:30:00"],
            [("2026-10-03T14:30", "2026-10-03T15:30", 2), ("2026-10-03T15:30", "2026-10-03T16:00", 1)],
        ),
        (
            ["2026-04-04T14:59:59", "2026-04-04T15:00:00", "2026-04-04T15:30:00"],
            [
                ("2026-04-04T14:00", "2026-04-04T15:00", 1),
                ("2026-04-04T15:00", "2026-04-04T15:30", 1),
                ("2026-04-04T15:30", "2026-04-04T16:30", 1),
            ],
        ),
    ],
)
def test_an_hour_in_which_clocks_change_by_half_an_hour_ends_where_the_next_begins(
    times: list[str], expected: list[tuple[str, str, int]]
) -> None:
    found = counted("Australia/Lord_Howe", times).select("window_start", "window_end", "quantity")
    assert found.rows() == [(at(begins), at(ends), Decimal(quantity)) for begins, ends, quantity in expected]


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "Europe/Berlin", "Asia/Kathmandu", "UTC"])
def test_hours_of_a_year_share_no_time_and_count_each_event_once(zone: str) -> None:
    found = counted(zone, [time.replace(tzinfo=None).isoformat() for time in HALF_HOURS])
    assert found["quantity"].sum() == len(HALF_HOURS)
    ends = found["window_end"].head(-1)
    assert ends.to_list() == found["window_start"].tail(-1).to_list()
