from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.subscriptions.test_periods import ZONES
from tests.support.laws import law
from valueverse.schemas.types import INSTANT
from valueverse.subscriptions import local_later, local_midnight

DAY = 86_400


def later(instants: list[datetime], seconds: list[int], zones: list[str]) -> list[datetime]:
    frame = pl.DataFrame(
        {"at": instants, "seconds": seconds, "zone": zones},
        schema={"at": INSTANT, "seconds": pl.Int64, "zone": pl.String},
    )
    return local_later(frame, "at", "seconds", "zone", "later")["later"].to_list()


def midnight(day: date, zone: str) -> datetime:
    frame = pl.DataFrame({"day": [day], "zone": [zone]})
    found: datetime = local_midnight(frame, pl.col("day"), "zone", "at")["at"].item()
    return found


@law(60)
@given(
    st.lists(
        st.tuples(
            st.integers(631_152_000, 2_051_222_400), st.integers(1, 400), st.integers(0, DAY - 1),
            st.sampled_from(ZONES),
        ),
        min_size=1,
        max_size=4,
    )
)  # fmt: skip
def test_whole_days_later_the_local_clock_shows_the_same_time(rows: list[tuple[int, int, int, str]]) -> None:
    instants = [datetime.fromtimestamp(at, UTC) for at, *_ in rows]
    found = later(instants, [days * DAY + rest for _, days, rest, _ in rows], [zone for *_, zone in rows])
    for at, (_, days, rest, zone), one in zip(instants, rows, found, strict=True):
        shown = at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) + timedelta(days=days)
        expected = shown.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
        if expected.astimezone(ZoneInfo(zone)).replace(tzinfo=None) != shown:
            expected = at + timedelta(days=days)  # the clock never shows that time
        assert one == expected + timedelta(seconds=rest)


@pytest.mark.parametrize(
    ("day", "zone", "days", "expected"),
    [
        (date(2024, 10, 27), "Europe/Berlin", 1, date(2024, 10, 28)),
        (date(2024, 4, 7), "Australia/Lord_Howe", 1, date(2024, 4, 8)),
        (date(2024, 10, 20), "Europe/Berlin", 10, date(2024, 10, 30)),
        (date(2024, 3, 31), "Europe/Berlin", 1, date(2024, 4, 1)),
    ],
)
def test_a_day_of_25_or_23_hours_is_one_day(day: date, zone: str, days: int, expected: date) -> None:
    assert later([midnight(day, zone)], [days * DAY], [zone]) == [midnight(expected, zone)]


def test_hours_are_hours_on_every_day() -> None:
    at = midnight(date(2024, 10, 27), "Europe/Berlin")
    assert later([at], [5 * 3_600], ["Europe/Berlin"]) == [at + timedelta(hours=5)]
