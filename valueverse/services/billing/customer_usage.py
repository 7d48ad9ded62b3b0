"""The usage of customers, read from the lake, and read again where its files have changed."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import polars as pl
from cachetools import LRUCache

from valueverse.schemas.metering import USAGE
from valueverse.services.lake_tables import USAGE_TABLE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date

    from valueverse.platform.lake import Lake, Opened


def customer_usage(lake: Lake, tenant: str, customers: Sequence[str]) -> pl.DataFrame:
    """The customers' USAGE."""
    return _read(lake.open(USAGE_TABLE), tenant, customers, None)


@dataclass(frozen=True)
class KnownUsage:
    """The customer's USAGE at a state of the lake; ``mark`` is another number once the rows are others."""

    rows: pl.DataFrame
    mark: int


@dataclass(frozen=True)
class _Day:
    files: tuple[str, ...]
    rows: pl.DataFrame
    mark: int


class UsageCache:
    """Usage of the customers that were asked for last, by day of the lake.

    Files of the lake never change: a day is read again when it has other ones.

    Args:
        most: bytes of rows that are stored, all customers together.
    """

    def __init__(self, most: int = 256 * 2**20) -> None:
        self._lock = Lock()
        self._customers: LRUCache[tuple[str, str, str], dict[date, _Day]] = LRUCache(most, _size)

    def read(self, lake: Lake, tenant: str, customer: str) -> KnownUsage:
        """The customer's usage as the lake has it now."""
        key = (lake.url, tenant, customer)
        opened = lake.open(USAGE_TABLE)
        files = dict(opened.files().group_by("date").agg(pl.col("path").sort()).iter_rows())
        with self._lock:
            known = self._customers.get(key, {})
        days = {day: known[day] for day, paths in files.items() if day in known and known[day].files == tuple(paths)}
        new = files.keys() - days.keys()
        parts = _read(opened, tenant, [customer], new).partition_by("tenant", "event_date", as_dict=True)
        for day in new:
            rows = parts.get((tenant, day), USAGE.to_frame())
            days[day] = _Day(tuple(files[day]), rows, mark_of(rows))
        with self._lock:
            self._customers.pop(key, None)
            if _size(days) <= self._customers.maxsize:
                self._customers[key] = days
        rows = pl.concat([USAGE.to_frame(), *(days[day].rows for day in sorted(days) if days[day].rows.height)])
        return KnownUsage(rows, sum(day.mark for day in days.values()))


def _size(days: dict[date, _Day]) -> int:
    return sum(int(day.rows.estimated_size()) + 256 for day in days.values())


def _read(opened: Opened, tenant: str, customers: Sequence[str], dates: Collection[date] | None) -> pl.DataFrame:
    # Files are left out by an equation, as far as their statistics say.
    mine = pl.col("customer") == customers[0] if len(customers) == 1 else pl.col("customer").is_in(list(customers))
    own = opened.scan(dates).filter(pl.col("tenant") == tenant, mine)
    return USAGE.conform(own.collect())


def mark_of(rows: pl.DataFrame) -> int:
    """A number that is another one once the rows, in whatever order, are others."""
    return 0 if rows.is_empty() else rows.height + int(rows.hash_rows(seed=1).cast(pl.Decimal(38, 0)).sum())
