"""Held tenants tried again: a run per stage and gapless range of their partitions, for them alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl

from assets.partitions import contiguous
from valueverse.platform.stores import held_store
from valueverse.platform.warehouse import connect
from valueverse.services.tenant_holds import BILLING, JOURNAL, MARTS, RELEASE, USAGE, VALUE, WAITS, WAITS_FOR

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.platform.settings import Settings

_OPS = {
    USAGE: ("lake__usage",),
    BILLING: ("billing__invoices", "billing__journal"),
    VALUE: ("value__realisation",),
    RELEASE: ("quality__release",),
    MARTS: ("dbt_models",),
}
RETRIED = tuple(_OPS)
"""Stages that are tried again by runs of their own, in their order; facts are tried by every ingestion."""


@dataclass(frozen=True)
class Retry:
    """A run of a stage's job over the partitions from ``first`` to ``last`` for these tenants; ``key`` names the
    attempt. Marts have no partitions: they are tried with all months."""

    stage: str
    first: str
    last: str
    tenants: tuple[str, ...]
    key: str

    @property
    def partitions(self) -> tuple[str, str] | None:
        """First and last partition; None where the stage has none."""
        return None if self.stage == MARTS else (self.first, self.last)

    def config(self) -> dict[str, Any]:
        """Run config of the stage's job."""
        return {"ops": {op: {"config": {"tenants": list(self.tenants)}} for op in _OPS[self.stage]}}


def retries(settings: Settings, stage: str, due_at: datetime | None = None) -> list[Retry]:
    """The runs that try the stage's held tenants again.

    A month that the release holds for another stage's sake is decided anew once no stage holds its tenant; a journal
    that is held is booked anew with the tenant's newest billed month; marts are tried as soon as the tenant is released
    again.

    Args:
        settings: where the warehouse is.
        stage: one of ``RETRIED``.
        due_at: only what is to be tried again by this instant (``held_store.held``); None: everything.
    """
    with connect(settings, "builder") as connection:
        everything = held_store.held_periods(connection)
        rows = _due(everything, held_store.held_periods(connection, [stage], due_at), stage)
        if stage == BILLING:
            journal = _due(everything, held_store.held_periods(connection, [JOURNAL], due_at), JOURNAL)
            rows = pl.concat([rows, held_store.newest_months(connection, journal)])
        if stage == RELEASE:
            rows = pl.concat([rows, held_store.undecided(connection)])
        if stage == MARTS:
            rows = pl.concat([rows, held_store.released_since(connection, MARTS)]).unique(maintain_order=True)
    if rows.is_empty():
        return []
    tenants = tuple(rows["tenant"].unique().sort())
    attempts = int(rows["attempts"].sum())
    ranges = contiguous({day.isoformat() for day in rows["period"] if isinstance(day, date)}, monthly=stage != USAGE)
    # A run's key is indexed, and an index takes no text as long as many tenants' keys.
    named = hashlib.sha256(",".join(tenants).encode()).hexdigest()[:32]
    return [
        Retry(stage, first, last, tenants, f"held:{stage}:{first}:{last}:{named}:{attempts}") for first, last in ranges
    ]


def _due(everything: pl.DataFrame, rows: pl.DataFrame, stage: str) -> pl.DataFrame:
    """The rows that are due, and those that waited for a stage which holds their tenant no more."""
    waits = pl.col("code") == WAITS
    reasons = everything.filter(~waits, pl.col("stage").is_in(list(WAITS_FOR[stage]))).select("tenant").unique()
    waiting = everything.filter(waits, pl.col("stage") == stage).join(reasons, on="tenant", how="anti")
    return pl.concat([rows.filter(~waits), waiting])
