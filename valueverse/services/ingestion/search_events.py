"""Events of a tenant in the lake: those that were accepted, or those that were quarantined, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.dates import utc_text
from valueverse.services.lake_tables import EVENTS_TABLE, QUARANTINE_TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.platform.lake import Lake

_ACCEPTED = ("source", "id", "type", "customer", "subscription", "time", "received_at", "file", "line", "replaces")
_QUARANTINED = ("source", "id", "type", "reason", "message", "path", "received_at", "file", "line")


@dataclass(frozen=True)
class EventFilters:
    """What is asked for; None: whatever it is.

    Attributes:
        source, id, type, customer: of the event; the last of accepted ones alone.
        first: UTC date of ``time`` of accepted events, of receipt of quarantined ones, from which on.
        until: the same, up to which, exclusive.
    """

    source: str | None = None
    id: str | None = None
    type: str | None = None
    customer: str | None = None
    first: date | None = None
    until: date | None = None

    def on(self, day: str) -> list[pl.Expr]:
        """The conditions; ``day``: the column of the date, which partitions are chosen by."""
        named = {"source": self.source, "id": self.id, "type": self.type, "customer": self.customer}
        chosen = [pl.col(name) == value for name, value in named.items() if value is not None]
        chosen += [pl.col(day) >= self.first] if self.first is not None else []
        return chosen + ([pl.col(day) < self.until] if self.until is not None else [])


def accepted_events(
    lake: Lake, tenant: str, filters: EventFilters, after: Sequence[Any], at_most: int
) -> list[dict[str, Any]]:
    """Accepted events by ``time``, the newest first, then source and id.

    Args:
        lake: where they are.
        tenant: whose.
        filters: which.
        after: time, source and id of the last one that was given; Nones: from the newest on.
        at_most: how many.
    """
    mine = lake.scan(EVENTS_TABLE).filter(pl.col("tenant") == tenant, *filters.on("event_date"))
    return _page(mine.select(_ACCEPTED), ("time", "source", "id"), after, at_most)


def quarantined_events(
    lake: Lake, tenant: str, filters: EventFilters, after: Sequence[Any], at_most: int
) -> list[dict[str, Any]]:
    """Quarantined lines by ``received_at``, the newest first, then file and line; ``after``: these of the last one."""
    mine = lake.scan(QUARANTINE_TABLE).filter(pl.col("tenant") == tenant, *filters.on("received_date"))
    return _page(mine.select(_QUARANTINED), ("received_at", "file", "line"), after, at_most)


def _page(rows: pl.LazyFrame, order: tuple[str, str, str], after: Sequence[Any], at_most: int) -> list[dict[str, Any]]:
    """The first rows behind a place, times as text."""
    moment, *rest = order
    if after[0] is not None:
        at = pl.lit(datetime.fromisoformat(after[0]).astimezone(UTC)).cast(pl.Datetime("us", "UTC"))
        one, two = (pl.col(name) for name in rest)
        later = (one > after[1]) | ((one == after[1]) & (two > after[2]))
        rows = rows.filter((pl.col(moment) < at) | ((pl.col(moment) == at) & later))
    found = rows.sort(order, descending=[True, False, False]).head(at_most).collect(engine="streaming")
    return [
        {name: utc_text(value) if isinstance(value, datetime) else value for name, value in row.items()}
        for row in found.iter_rows(named=True)
    ]
