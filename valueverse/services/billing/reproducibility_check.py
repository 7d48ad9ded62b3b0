"""Checks that billing is a function of the event log: finalised invoices are recomputed.

An invoice is billed again as known at its ``basis.events_known_at``, on the prior state when its run began, and has to
come to the same ``content_hash`` (billing.md, States).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.invoicing import bill, newest_known_at, rows_as_recorded
from valueverse.invoicing.rendering import build_invoice_documents, invoice_id
from valueverse.platform.stores.billing_store import Scope
from valueverse.platform.stores.proposal_store import approved
from valueverse.platform.stores.sample_store import corrected_by, sample_of
from valueverse.platform.warehouse import connect
from valueverse.schemas.checks import FOUND_HASHES, REPRODUCED_INVOICES
from valueverse.schemas.invoicing import INVOICE
from valueverse.services.billing.billing_state import read_prior_state
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE
from valueverse.subscriptions import build_timeline

if TYPE_CHECKING:
    from collections.abc import Collection

    import psycopg

    from valueverse.platform.lake import Lake, Opened
    from valueverse.platform.settings import Settings

_SPAN = ("period_from", "period_to")
SAMPLE = 5
"""Invoices per tenant and run; those with adjustments come first, since most can go wrong with them."""

_TOGETHER = ("finalised_at", "first", "last", "turn")


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
        found = [
            _again(connection, log, finalised_at, (first, last), part)
            for (finalised_at, first, last, _), part in _together(sample).group_by(_TOGETHER, maintain_order=True)
        ]
    return (
        sample.select("tenant", "number", "invoice_id", pl.col("content_hash").alias("expected"))
        .join(
            pl.concat([FOUND_HASHES.to_frame(), *found]), on=["tenant", "invoice_id"], how="left", maintain_order="left"
        )
        .with_columns(pl.col("expected").eq_missing(pl.col("found")).alias("ok"))
        .select(REPRODUCED_INVOICES.names())
    )


def _together(sample: pl.DataFrame) -> pl.DataFrame:
    """The sample with _TOGETHER: one pass works out all of one run and window, a tenant as known at one instant."""
    known = pl.col("events_known_at")
    by_run = sample.with_columns(
        known.rank("dense").over("tenant", "finalised_at").alias("turn"),
    )
    of = ("tenant", "finalised_at", "turn")
    # A window ends at the tenant's midnight, as early as 10:00 UTC of the day before; a customer's period ends whenever
    # it is midnight there.
    return by_run.with_columns(
        (pl.col("period_from").min().over(of).dt.date() - pl.duration(days=1)).alias("first"),
        (pl.col("period_to").max().over(of).dt.date() + pl.duration(days=2)).alias("last"),
    )


@dataclass(frozen=True)
class _Log:
    """Facts and the usage table, opened once: opening a table costs more the longer its history is."""

    facts: pl.DataFrame
    usage: Opened
    days: pl.DataFrame

    @classmethod
    def of(cls, lake: Lake, tenants: list[str]) -> _Log:
        facts = lake.scan(BILLING_FACTS_TABLE).filter(pl.col("tenant").is_in(tenants)).collect()
        usage = lake.open(USAGE_TABLE)
        return cls(facts, usage, pl.DataFrame({"event_date": usage.dates()}, schema={"event_date": pl.Date()}))


def _again(
    connection: psycopg.Connection[Any], log: _Log, finalised_at: Any, window: tuple[Any, Any], sample: pl.DataFrame
) -> pl.DataFrame:
    """FOUND_HASHES: what comes out for the invoices of a sample, one state of knowledge per tenant."""
    tenants = sample["tenant"].unique().sort().to_list()
    known_at = dict(sample.select("tenant", "events_known_at").unique().iter_rows())
    facts = rows_as_recorded(log.facts.lazy().filter(pl.col("tenant").is_in(tenants)), known_at).collect()
    history = CatalogHistory.from_facts(facts, newest_known_at(known_at))
    timeline = build_timeline(facts, history.plans, newest_known_at(known_at))
    corrects = corrected_by(connection, sample)
    spans = pl.concat([frame.select("tenant", *_SPAN) for frame in (sample, corrects)])
    usage = rows_as_recorded(_usage(log, history, spans), known_at)
    scope = Scope(tenants, finalised_at, _ahead(sample))
    # What else was compared then made no line of the sample, and its usage is not read.
    prior = read_prior_state(connection, scope, usage, history, facts, known_at, compared=corrects)
    outcomes = approved(connection, scope, finalised_at)
    billed = bill(
        timeline, history, usage, window, known_at=known_at, closed_by=finalised_at, prior=prior, outcomes=outcomes
    )
    asked = set(sample.select("tenant", "invoice_id").iter_rows())
    named = billed.invoices.with_columns(
        pl.Series("invoice_id", [invoice_id(row) for row in billed.invoices.select(INVOICE).iter_rows(named=True)])
    )
    wanted = [key in asked for key in named.select("tenant", "invoice_id").iter_rows()]
    named = named.filter(pl.Series(wanted, dtype=pl.Boolean))
    made = build_invoice_documents(named, billed.lines.join(named, on=INVOICE, how="semi", maintain_order="left"))
    hashes = pl.Series("found", [document["content_hash"] for document in made], dtype=pl.String)
    return named.select("tenant", pl.col("invoice_id").cast(pl.String)).with_columns(hashes)


def _ahead(sample: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """What a run of many months made before the sample stands: it used up coupons, wallets and credit."""
    first = sample.group_by("tenant").agg(pl.col("sequence").min(), pl.col("period_from").min())
    return {tenant: {"sequence": number, "close": close.isoformat()} for tenant, number, close in first.iter_rows()}


def _usage(log: _Log, history: CatalogHistory, periods: pl.DataFrame) -> pl.LazyFrame:
    """Each tenant's usage of the dates of its periods; of all dates before them too where a meter carries its level
    over."""
    carried = history.meters.filter("carry_over")["tenant"].unique().to_list()
    first = pl.when(pl.col("tenant").is_in(carried)).then(pl.lit(date.min)).otherwise(pl.col("period_from").dt.date())
    spans = periods.select(
        "tenant",
        pl.max_horizontal(first, pl.lit(date.min + timedelta(days=1))).dt.offset_by("-1d").alias("first"),
        pl.col("period_to").dt.date().dt.offset_by("1d").alias("last"),
    ).unique()
    days = (
        spans.join_where(log.days, pl.col("first") <= pl.col("event_date"), pl.col("event_date") <= pl.col("last"))
        .select("tenant", "event_date")
        .unique()
    )
    usage = log.usage.scan(days["event_date"].unique().to_list())
    return usage.join(days.lazy(), on=["tenant", "event_date"], how="semi")
