"""Every partitions definition of the platform. Time is the partition; tenants are a filter in run config."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import dagster as dg

from valueverse.dates import following_month, month_of
from valueverse.services.months import EARLIEST, FIRST_DAY

if TYPE_CHECKING:
    from collections.abc import Collection

DAILY = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), end_offset=2)
"""Event dates (UTC). Two beyond the last whole day: today and, as events may be 24 hours ahead, tomorrow."""

MONTHLY = dg.MonthlyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), end_offset=1)
"""Months in which billing periods close, up to the open one."""


def covered(keys: Collection[str]) -> tuple[date, date]:
    """First and last date (of a monthly key: first day of the month) that these partitions stand for.

    The first partition stands for everything before it too: a range that includes it begins at EARLIEST.
    """
    days = [date.fromisoformat(key) for key in keys]
    first = min(days)
    return (EARLIEST if first == FIRST_DAY else first), max(days)


def daily_keys(days: Collection[date], today: date) -> list[str]:
    """Daily partitions that hold these event dates, in order; a date beyond tomorrow has none yet."""
    last = today + timedelta(days=1)
    return sorted({max(day, FIRST_DAY).isoformat() for day in days if day <= last})


def monthly_keys(months: Collection[date], today: date) -> list[str]:
    """Monthly partitions of these months, in order; a month that has not begun has none yet."""
    return sorted({month_of(max(month, FIRST_DAY)).isoformat() for month in months if month <= today})


def newest_keys(today: date, count: int, *, monthly: bool) -> set[str]:
    """The ``count`` newest partitions that have begun: the one that holds ``today``, and those before it."""
    days = [month_of(today) if monthly else today]
    while len(days) < count:
        before = days[-1] - timedelta(days=1)
        days.append(month_of(before) if monthly else before)
    return {day.isoformat() for day in days[:count]}


def contiguous(keys: Collection[str], *, monthly: bool = False) -> list[tuple[str, str]]:
    """First and last keys of the gapless ranges that make up ``keys``: one run each, no other partition."""
    days = sorted(date.fromisoformat(key) for key in keys)
    if not days:
        return []

    def following(day: date) -> date:
        return following_month(day) if monthly else day + timedelta(days=1)

    breaks = [(one, other) for one, other in pairwise(days) if following(one) != other]
    firsts = [days[0], *(other for _, other in breaks)]
    lasts = [*(one for one, _ in breaks), days[-1]]
    return [(first.isoformat(), last.isoformat()) for first, last in zip(firsts, lasts, strict=True)]


def range_tags(first: str, last: str) -> dict[str, str]:
    """Run tags that make one run of all partitions from ``first`` to ``last``."""
    return {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
