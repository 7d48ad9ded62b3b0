"""What is in the warehouse before a billing run: invoices, what they used up, and what later events may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.invoicing import (
    OF_CLOSE,
    BilledRows,
    ReceivedChanges,
    derive_prior_state,
    issued_invoices,
    newest_known_at,
    recomputed_invoices,
    recorded_periods,
)
from valueverse.invoicing.settlement import read_adjustment_events, voids_in_effect, voids_of_unknown_invoices
from valueverse.platform.stores import billing_store as store
from valueverse.platform.stores import correction_store
from valueverse.schemas.events import REJECTED_EVENTS
from valueverse.services.lake_tables import EVENTS_TABLE

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import psycopg

    from valueverse.catalog import CatalogHistory
    from valueverse.invoicing import KnownAt, PriorState
    from valueverse.platform.lake import Lake
    from valueverse.subscriptions import Timeline


def apply_voids(
    connection: psycopg.Connection[Any], timeline: Timeline, history: CatalogHistory, as_of: datetime
) -> pl.DataFrame:
    """Write the voids that have taken effect by the run's ``as_of``, as known from then on; those of no invoice
    finalised by then come back as REJECTED_EVENTS, also where they are of a later date."""
    voids = read_adjustment_events(timeline, history).voids
    if voids.is_empty():
        return REJECTED_EVENTS.to_frame()
    store.void(connection, voids_in_effect(voids, as_of), as_of)
    return voids_of_unknown_invoices(timeline, store.unknown_to_void(connection, voids))


def read_rows(connection: psycopg.Connection[Any], scope: store.Scope) -> BilledRows:
    """What is recorded of the tenants' invoices; of lines, those that every run needs."""
    return BilledRows(
        store.invoices(connection, scope),
        pl.concat([store.corrections(connection, scope), store.lines_apart(connection, scope)]),
        store.credits_paid(connection, scope),
        store.discounts(connection, scope),
        correction_store.unchanged(connection, scope),
        correction_store.corrected_in_vain(connection, scope),
    )


def read_prior_state(
    connection: psycopg.Connection[Any],
    scope: store.Scope,
    usage: pl.LazyFrame,
    history: CatalogHistory,
    facts: pl.DataFrame,
    known_at: KnownAt,
    *,
    compared: pl.DataFrame | None = None,
) -> PriorState:
    """What is already billed, as ``engine.bill`` takes it; drafts of the run's window are dropped before.

    Args:
        connection: to the warehouse.
        scope: whose invoices, and as of when.
        usage: the usage table.
        history: the tenants' catalogs.
        facts: their billing facts.
        known_at: the run's state of knowledge.
        compared: tenant, invoice_id of those that may be recomputed; None: any.
    """
    rerated = store.reratings(connection, scope)
    changes = ReceivedChanges(usage, history.meters, facts, newest_known_at(known_at), rerated, compared)
    rows = read_rows(connection, scope)
    issued = issued_invoices(rows)
    recompute = recomputed_invoices(issued, changes)
    whole = rows.with_lines(store.lines_of(connection, scope, recompute))
    return derive_prior_state(whole, issued, recompute, rerated)


def booked_periods(connection: psycopg.Connection[Any], scope: store.Scope) -> pl.DataFrame:
    """The closed periods (BILLED_INVOICES) that an invoice, draft or finalised, has booked: what usage is billed by."""
    invoices, lines = store.invoices(connection, scope), store.corrections(connection, scope)
    return closed_periods(BilledRows(invoices, lines, unchanged=correction_store.unchanged(connection, scope)))


def closed_periods(rows: BilledRows) -> pl.DataFrame:
    """``booked_periods`` of these rows."""
    return recorded_periods(rows).filter(pl.col("invoice_type").is_in(OF_CLOSE))


def watermarks(lake: Lake, as_of: datetime, tenants: Collection[str]) -> dict[str, datetime]:
    """When the newest event of each of these tenants was received (``as_of`` where none was): the state of knowledge
    that a run works with."""
    events = lake.scan(EVENTS_TABLE).filter(pl.col("tenant").is_in(list(tenants)))
    found = events.group_by("tenant").agg(pl.col("received_at").max()).collect(engine="streaming")
    return dict.fromkeys(tenants, as_of) | dict(found.iter_rows())
