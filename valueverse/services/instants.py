"""Instants as calculators read them: RFC 3339, or a bare date for local midnight (contracts.md, section
5)."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import Any

import polars as pl

from valueverse.dates import NO_INSTANT, read_date_or_instant
from valueverse.errors import RefusalError
from valueverse.events import is_time_zone
from valueverse.subscriptions import local_midnight


def read_time_zone(value: Any, path: str = "timezone") -> str:
    """The zone's name; UTC when none is given.

    Raises:
        RefusalError: ``unknown_timezone``.
    """
    if value is None:
        return "UTC"
    if not isinstance(value, str) or not is_time_zone(value):
        raise RefusalError(
            "unknown_timezone", f"{str(value)[:60]!r} is not an IANA time zone such as 'Europe/Berlin'", path
        )
    return value


def read_instant(value: Any, zone: str, path: str) -> datetime:
    """The instant in UTC; ``zone`` is where a bare date begins.

    Raises:
        RefusalError: ``bad_time``.
    """
    text = value if isinstance(value, str) else ""
    try:
        found = read_date_or_instant(text)
        return found if isinstance(found, datetime) else _midnight(found, zone)
    except (ValueError, OverflowError) as error:
        raise RefusalError("bad_time", f"{str(value)[:40]!r} {NO_INSTANT}", path) from error


def read_month(text: str, path: str) -> date:
    """The first day of a month such as ``2023-11``.

    Raises:
        RefusalError: ``bad_month``.
    """
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError as error:
        raise RefusalError("bad_month", f"{text[:40]!r} is no month such as 2023-11", path) from error


@lru_cache(maxsize=4096)
def _midnight(day: date, zone: str) -> datetime:
    row = pl.DataFrame({"zone": [zone]})
    found: datetime = local_midnight(row, pl.lit(day), "zone", "instant")["instant"].item()
    return found
