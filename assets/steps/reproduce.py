"""The promise that billing is a function of the log, kept under watch: finalised invoices are worked out again.

An invoice is billed once more as known at its ``basis.events_known_at``, on what stood when its run began, and has to
come to the same ``content_hash`` (billing.md, States).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog.history import CatalogHistory
from valueverse.commands.booked import read_booked
from valueverse.invoicing.assemble import documents
from valueverse.invoicing.document import invoice_id
from valueverse.invoicing.engine import bill
from valueverse.invoicing.outcomes import PROPOSALS
from valueverse.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE
from valueverse.platform.billing_store import Scope
from valueverse.platform.sample_store import corrected_by, sample_of
from valueverse.platform.value_store import approved
from valueverse.platform.warehouse import connect
from valueverse.subscriptions.timeline import build_timeline

if TYPE_CHECKING:
    from collections.abc import Collection

    from valueverse.platform.lake import Lake, Opened
    from valueverse.platform.settings import Settings

_SPAN = ("period_from", "period_to")
SAMPLE = 5
"""Invoices per tenant and run; those with adjustments come first, since most can go wrong with them."""

_HASHES = pl.Schema(dict.fromkeys(("tenant", "number", "expected", "found"), pl.String()))
REPRODUCTION = pl.Schema({**_HASHES, "ok": pl.Boolean()})


def reproduce(
    settings: Settings, lake: Lake, months: Collection[date], *, tenants: Collection[str] | None = None
) -> pl.DataFrame:
    """Work out again a sample of the invoices finalised that close in these months.

    Returns:
        tenant, number, expected, found (content hashes; found null: no such invoice comes out), ok.
    """
    with connect(settings, "builder") as connection:
        sample = sample_of(connection, sorted(months), None if tenants is None else list(tenants), SAMPLE)
        log = _Log.of(lake, sample["tenant"].unique().to_list())
        rows = [
            row
            for (tenant, known_at, finalised_at), part in sample.group_by(
                "tenant", "events_known_at", "finalised_at", maintain_order=True
            )
            for row in _again(connection, log, str(tenant), known_at, finalised_at, part)
        ]
    found = pl.DataFrame(rows, schema=_HASHES, orient="row")
    return found.with_columns(pl.col("expected").eq_missing(pl.col("found")).alias("ok"))


@dataclass(frozen=True)
class _Log:
    """Facts by tenant and the usage table, opened once: opening a table costs more the longer its history is."""

    facts: dict[tuple[Any, ...], pl.DataFrame]
    usage: Opened
    days: list[date]

    @classmethod
    def of(cls, lake: Lake, tenants: list[str]) -> _Log:
        facts = lake.scan(BILLING_FACTS_TABLE).filter(pl.col("tenant").is_in(tenants)).collect()
        usage = lake.open(USAGE_TABLE)
        return cls(facts.partition_by("tenant", as_dict=True, maintain_order=True), usage, usage.dates())


def _again(
    connection: Any, log: _Log, tenant: str, known_at: Any, finalised_at: Any, sample: pl.DataFrame
) -> list[tuple[str, str, str, str | None]]:
    facts = log.facts.get((tenant,), BILLING_FACTS_TABLE.schema.to_frame())
    history = CatalogHistory.from_facts(facts, known_at)
    timeline = build_timeline(facts, history.plans, known_at)
    corrects = corrected_by(connection, tenant, sample["invoice_id"].to_list())
    usage = _usage(log, tenant, history, pl.concat([sample.select(_SPAN), corrects.select(_SPAN)]))
    scope = Scope([tenant], finalised_at)
    # What else was compared then made no line of the sample, and its usage is not read.
    booked = read_booked(connection, scope, usage, history, facts, known_at, compared=corrects)
    outcomes = approved(connection, scope, finalised_at, PROPOSALS)
    window = (_day(sample["period_from"].min()), _day(sample["period_to"].max()) + timedelta(days=2))
    billed = bill(
        timeline, history, usage, window, known_at=known_at, closed_by=finalised_at, booked=booked, outcomes=outcomes
    )
    hashes = {
        invoice_id(row): document["content_hash"]
        for row, document in zip(
            billed.invoices.iter_rows(named=True), documents(billed.invoices, billed.lines), strict=True
        )
    }
    return [
        (tenant, row["number"], row["content_hash"], hashes.get(row["invoice_id"]))
        for row in sample.iter_rows(named=True)
    ]


def _usage(log: _Log, tenant: str, history: CatalogHistory, periods: pl.DataFrame) -> pl.LazyFrame:
    """Usage of the dates of these periods; of all dates before them too where a meter carries its level over."""
    own = history.meters.filter(pl.col("tenant") == tenant)
    spans = [(_day(first), _day(last) + timedelta(days=2)) for first, last in periods.rows()]
    earliest = date.min if own["carry_over"].any() else None
    days = [day for day in log.days if any((earliest or first) <= day <= last for first, last in spans)]
    return log.usage.scan(days).filter(pl.col("tenant") == tenant)


def _day(moment: Any) -> date:
    assert isinstance(moment, datetime)  # noqa: S101 - for the type checker
    return moment.date() - timedelta(days=1)
