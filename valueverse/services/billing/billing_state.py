"""What stands in the warehouse before a billing run: invoices, what they used up, and what later events may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog.document import parse_catalog
from valueverse.invoicing.corrections.differences import (
    PERIOD_TYPES,
    invoices_to_recompute,
    periods_with_voided_threshold,
)
from valueverse.invoicing.knowledge import newest
from valueverse.invoicing.periods.due_invoices import BEGUN, periods_without_closing_invoice
from valueverse.invoicing.prior_state import (
    ConsumedCredits,
    InvoicesToRecompute,
    IssuedInvoices,
    PriorState,
    ThresholdAmounts,
)
from valueverse.invoicing.settlement.adjustment_events import read_adjustment_events, stray_voids
from valueverse.invoicing.settlement.credit_notes import reopened
from valueverse.platform.stores import billing_store as store
from valueverse.platform.stores.journal_store import corrected
from valueverse.schemas.invoicing import INVOICE_NUMBERS, RECOMPUTED_INVOICES
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.subscriptions.event_fields import REJECTED

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import psycopg

    from valueverse.catalog.history import CatalogHistory
    from valueverse.invoicing.knowledge import KnownAt
    from valueverse.platform.lake import Lake
    from valueverse.subscriptions.timeline import Timeline

_COMPARED = [*(name for name in RECOMPUTED_INVOICES if name != "rerate_catalog_hash")]


def apply_voids(connection: psycopg.Connection[Any], timeline: Timeline, history: CatalogHistory) -> pl.DataFrame:
    """Write the voids that billing events tell of; those of no finalised invoice come back as REJECTED."""
    voids = read_adjustment_events(timeline, history).voids
    if voids.is_empty():
        return REJECTED.to_frame()
    return stray_voids(timeline, store.void(connection, voids))


def read_booked(
    connection: psycopg.Connection[Any],
    scope: store.Scope,
    usage: pl.LazyFrame,
    history: CatalogHistory,
    facts: pl.DataFrame,
    known_at: KnownAt,
    *,
    compared: pl.DataFrame | None = None,
) -> PriorState:
    """The tenants' standing invoices as ``engine.bill`` takes them; drafts of the run's window are dropped before.

    Args:
        connection: to the warehouse.
        scope: whose invoices, and as of when.
        usage: the usage table.
        history: the tenants' catalogs.
        facts: their billing facts.
        known_at: the run's state of knowledge.
        compared: tenant, invoice_id of those that may be worked out anew; None: any.
    """
    invoices, voided = store.finalised(connection, scope), store.voided(connection, scope)
    paid, coupons, owed = store.used_up(connection, scope)
    numbers = pl.concat(
        [
            INVOICE_NUMBERS.conform(invoices, unset=("issued_at", "voided_at")),
            INVOICE_NUMBERS.conform(voided, unset=("issued_at",)),
        ]
    )
    periods = invoices.select(_COMPARED).filter(pl.col("invoice_type").is_in(PERIOD_TYPES))
    if compared is not None:
        periods = _with_siblings(periods, compared)
    rerated = store.reratings(connection, scope)
    named = numbers.select("tenant", "invoice_id", "number")
    numbered = periods.join(named, on=["tenant", "invoice_id"], maintain_order="left")
    again = (
        pl.concat(
            [
                invoices_to_recompute(periods, usage, history.meters, facts, newest(known_at)),
                reopened(numbered, facts, newest(known_at)).select(_COMPARED),
                periods.join(rerated, on=["tenant", "invoice_id"], how="semi"),
                # What corrected a voided invoice stands on others: it is taken back, for its usage is billed anew.
                RECOMPUTED_INVOICES.conform(
                    voided.filter(pl.col("invoice_type").is_in(PERIOD_TYPES)),
                    unset=("events_known_at", "rerate_catalog_hash"),
                ).select(_COMPARED),
                periods_with_voided_threshold(periods, voided),
                periods_without_closing_invoice(periods, voided),
            ]
        )
        .unique(["tenant", "invoice_id"], keep="first", maintain_order=True)
        .join(rerated.select("tenant", "invoice_id", "rerate_catalog_hash"), on=["tenant", "invoice_id"], how="left")
    )
    if compared is not None:
        again = again.join(compared, on=["tenant", "invoice_id"], how="semi", maintain_order="left")
    catalogs = {
        str(key): parse_catalog(str(text))
        for key, text in rerated.drop_nulls("rerate_catalog_hash")
        .select("rerate_catalog_hash", "document")
        .unique()
        .iter_rows()
    }
    lines, discounts = store.booked_lines(connection, scope, again), store.discounts_of(connection, again)
    return PriorState(
        issued=IssuedInvoices(invoices, voided),
        one_offs=store.one_offs_billed(connection, scope),
        thresholds=ThresholdAmounts(store.early_lines(connection, scope), store.early_coupons(connection, scope)),
        consumed=ConsumedCredits(paid, coupons, numbers, corrected(connection, scope.tenants, scope.before), owed),
        recompute=InvoicesToRecompute(RECOMPUTED_INVOICES.conform(again), lines, discounts, catalogs),
    )


def _with_siblings(periods: pl.DataFrame, compared: pl.DataFrame) -> pl.DataFrame:
    """The invoices compared and all others of their periods: a period that closed early and went on is one."""
    mine = periods.join(compared, on=["tenant", "invoice_id"], how="semi")
    return periods.join(mine.select(BEGUN).unique(), on=BEGUN, how="semi", maintain_order="left")


def watermarks(lake: Lake, as_of: datetime, tenants: Collection[str]) -> dict[str, datetime]:
    """When the newest event of each of these tenants was received (``as_of`` where none was): the state of knowledge
    that a run works with."""
    events = lake.scan(EVENTS_TABLE).filter(pl.col("tenant").is_in(list(tenants)))
    found = events.group_by("tenant").agg(pl.col("received_at").max()).collect(engine="streaming")
    return dict.fromkeys(tenants, as_of) | dict(found.iter_rows())
