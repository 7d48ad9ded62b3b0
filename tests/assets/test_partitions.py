from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from assets.partitions import contiguous, covered, daily_keys, monthly_keys
from tests.support.laws import law
from valueverse.dates import following_month, months_between
from valueverse.services.months import EARLIEST, FIRST_DAY, months_holding

days = st.dates(date(2023, 1, 1), date(2023, 4, 30))


def test_gapless_days_are_one_range() -> None:
    assert contiguous(["2024-02-28", "2024-02-29", "2024-03-01"]) == [("2024-02-28", "2024-03-01")]


def test_a_gap_makes_two_ranges() -> None:
    assert contiguous(["2024-03-05", "2024-03-01"]) == [
        ("2024-03-01", "2024-03-01"),
        ("2024-03-05", "2024-03-05"),
    ]


def test_months_of_any_length_follow_each_other() -> None:
    keys = ["2023-12-01", "2024-01-01", "2024-02-01", "2024-04-01"]
    assert contiguous(keys, monthly=True) == [("2023-12-01", "2024-02-01"), ("2024-04-01", "2024-04-01")]


@law(100)
@given(st.sets(days, max_size=40))
def test_ranges_hold_exactly_the_days_asked_for(wanted: set[date]) -> None:
    covered = set()
    for first, last in contiguous([day.isoformat() for day in wanted]):
        day = date.fromisoformat(first)
        while day <= date.fromisoformat(last):
            covered.add(day)
            day += timedelta(days=1)
    assert covered == wanted


def test_dates_before_the_first_partition_belong_to_it() -> None:
    assert daily_keys([date(2019, 5, 5), FIRST_DAY], date(2024, 1, 1)) == ["2023-01-01"]
    assert monthly_keys([date(2019, 5, 1)], date(2024, 1, 1)) == ["2023-01-01"]


def test_the_first_partition_covers_everything_before_it() -> None:
    assert covered(["2023-01-01"]) == (EARLIEST, FIRST_DAY)
    assert covered(["2023-02-01", "2023-01-01"]) == (EARLIEST, date(2023, 2, 1))
    assert covered(["2023-02-01", "2023-03-01"]) == (date(2023, 2, 1), date(2023, 3, 1))


def test_of_the_past_only_months_that_hold_something_are_walked() -> None:
    held = {date(2017, 5, 1), date(2019, 1, 1)}
    assert months_holding(EARLIEST, date(2023, 2, 1), held) == [*sorted(held), FIRST_DAY, date(2023, 2, 1)]
    assert months_holding(date(2023, 2, 1), date(2023, 2, 1), held) == [date(2023, 2, 1)]


def test_a_day_beyond_tomorrow_has_no_partition_yet() -> None:
    today = date(2024, 1, 10)
    asked = [date(2024, 1, 10), date(2024, 1, 11), date(2024, 1, 12)]
    assert daily_keys(asked, today) == ["2024-01-10", "2024-01-11"]
    assert monthly_keys([date(2024, 1, 1), date(2024, 2, 1)], today) == ["2024-01-01"]


def test_the_month_after_december_is_january() -> None:
    assert following_month(date(2023, 12, 1)) == date(2024, 1, 1)
    assert months_between(date(2023, 11, 1), date(2024, 2, 1)) == [
        date(2023, 11, 1),
        date(2023, 12, 1),
        date(2024, 1, 1),
        date(2024, 2, 1),
    ]
