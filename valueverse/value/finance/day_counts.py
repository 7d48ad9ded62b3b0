"""Year fractions between dates by named conventions (ISDA 2006, 4.16; SIA Standard Securities Calculation Methods)."""

from __future__ import annotations

import calendar
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def _actual_365(start: date, end: date) -> float:
    return (end - start).days / 365


def _actual_360(start: date, end: date) -> float:
    return (end - start).days / 360


def _days_360(start: date, first_day: int, end: date, last_day: int) -> float:
    return (360 * (end.year - start.year) + 30 * (end.month - start.month) + last_day - first_day) / 360


def _ends_february(day: date) -> bool:
    return day.month == 2 and day.day == calendar.monthrange(day.year, 2)[1]


def _thirty_360_sia(start: date, end: date) -> float:
    first, last = start.day, end.day
    if _ends_february(start):
        if _ends_february(end):
            last = 30
        first = 30
    if last == 31 and first >= 30:
        last = 30
    return _days_360(start, min(first, 30), end, last)


def _thirty_e_360(start: date, end: date) -> float:
    return _days_360(start, min(start.day, 30), end, min(end.day, 30))


def _actual_actual_isda(start: date, end: date) -> float:
    """Days that lie in leap years over 366, the others over 365."""
    if start.year == end.year:
        return (end - start).days / (366 if calendar.isleap(start.year) else 365)
    opening = (date(start.year + 1, 1, 1) - start).days / (366 if calendar.isleap(start.year) else 365)
    closing = (end - date(end.year, 1, 1)).days / (366 if calendar.isleap(end.year) else 365)
    return opening + (end.year - start.year - 1) + closing


DAY_COUNTS: dict[str, Callable[[date, date], float]] = {
    "ACT/365F": _actual_365,
    "ACT/360": _actual_360,
    "30/360 SIA": _thirty_360_sia,
    "30E/360": _thirty_e_360,
    "ACT/ACT ISDA": _actual_actual_isda,
}
DEFAULT_DAY_COUNT = "ACT/365F"


def year_fraction(start: date, end: date, convention: str = DEFAULT_DAY_COUNT) -> float:
    """Years from ``start`` to ``end`` (not before it) by one of DAY_COUNTS."""
    return DAY_COUNTS[convention](start, end)
