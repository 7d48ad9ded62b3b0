"""Calendar months, and where the partitions of the platform begin."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

FIRST_DAY = date(2023, 1, 1)
"""Partitions begin here. The first one also holds whatever is older, so that no event lies outside of all."""

EARLIEST = date(1969, 12, 1)
"""Where the first partitions begin: a month before the first instant of an event, which is a local month at most."""


def month_of(day: date) -> date:
    """The first day of that day's month."""
    return day.replace(day=1)


def following_month(month: date) -> date:
    """The first day of the month after."""
    return month_of(month.replace(day=28) + timedelta(days=4))


def months_between(first: date, last: date) -> list[date]:
    """First days of all months from ``first``'s to ``last``'s, both included."""
    months = [month_of(first)]
    while months[-1] < month_of(last):
        months.append(following_month(months[-1]))
    return months


def months_holding(first: date, last: date, held: Collection[date]) -> list[date]:
    """``months_between``, less the months before the first partition's own that are not among ``held``."""
    return [month for month in months_between(first, last) if month >= FIRST_DAY or month in held]
