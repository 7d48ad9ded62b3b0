"""Calendar months, and instants as text: the one place that counts and writes them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

import polars as pl

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})\Z", re.ASCII)
NO_INSTANT = "is not an instant: write '2026-01-31T00:00:00Z', or a date for local midnight"
"""Why ``read_date_or_instant`` refuses a text."""


def read_date_or_instant(text: str) -> date | datetime:
    """A bare date, or an instant (RFC 3339 with offset) in UTC.

    Raises:
        ValueError: it is neither.
        OverflowError: in UTC it lies outside the calendar.
    """
    if _DATE.match(text):
        return date.fromisoformat(text)
    if _INSTANT.match(text):
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    raise ValueError(NO_INSTANT)


def is_instant(text: str) -> bool:
    """Whether ``read_date_or_instant`` reads it."""
    try:
        read_date_or_instant(text)
    except (ValueError, OverflowError):
        return False
    return True


def month_number(day: date) -> int:
    """Months from January of the year 0 to that day's month."""
    return day.year * 12 + day.month - 1


def month_at(number: int) -> date:
    """The first day of a month by its ``month_number``."""
    return date(number // 12, number % 12 + 1, 1)


def month_index(day: pl.Expr) -> pl.Expr:
    """``month_number`` of dates or instants (UTC), Int64."""
    return day.dt.year().cast(pl.Int64) * 12 + day.dt.month() - 1


def month_of(day: date) -> date:
    """The first day of that day's month."""
    return day.replace(day=1)


def month_later(day: date, count: int) -> date:
    """The first day of the month that comes ``count`` months after that day's; below 0: before."""
    return month_at(month_number(day) + count)


def following_month(month: date) -> date:
    """The first day of the month after."""
    return month_later(month, 1)


def months_between(first: date, last: date) -> list[date]:
    """First days of all months from ``first``'s to ``last``'s, both included; at least that of ``first``."""
    begin = month_number(first)
    return [month_at(number) for number in range(begin, max(month_number(last), begin) + 1)]


def utc_text(moment: datetime) -> str:
    """RFC 3339 in UTC, such as ``2024-03-30T23:00:00Z``; a fraction only where there is one."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def utc_texts(instants: pl.Expr) -> pl.Expr:
    """``utc_text`` of a column of instants in UTC."""
    return instants.dt.strftime("%FT%T%.fZ")


def utc_midnight(days: pl.Expr) -> pl.Expr:
    """The instants (microseconds, UTC) at which days begin in UTC."""
    return days.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
