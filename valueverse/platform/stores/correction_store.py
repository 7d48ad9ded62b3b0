"""Finalised invoices that were recomputed without a change, and those whose corrections were voided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import frame_of, value_of
from valueverse.schemas.invoicing import CORRECTED_IN_VAIN, UNCHANGED_INVOICES

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl
    import psycopg

    from valueverse.platform.stores.billing_store import Scope


def unchanged(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """UNCHANGED_INVOICES that runs before the scope's have found, with the newest state of knowledge of each."""
    return frame_of(
        connection,
        "select tenant_id::text as tenant, invoice_id::text as invoice_id, max(events_known_at) as events_known_at "
        "from billing.unchanged_invoice where tenant_id = any(%(tenants)s) "
        "and (%(before)s::timestamptz is null or found_at < %(before)s) group by 1, 2 order by 1, 2",
        scope.values(),
        UNCHANGED_INVOICES,
    )


def corrected_in_vain(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """CORRECTED_IN_VAIN: invoices that lines of voided invoices correct."""
    return frame_of(
        connection,
        "select distinct l.tenant_id::text as tenant, l.corrected_invoice_id::text as invoice_id "
        "from billing.invoice_void v join billing.invoice_line l "
        "on l.tenant_id = v.tenant_id and l.invoice_id = v.invoice_id "
        "where v.tenant_id = any(%(tenants)s) and l.corrected_invoice_id is not null "
        "and (%(before)s::timestamptz is null or v.voided_at < %(before)s)",
        scope.values(),
        CORRECTED_IN_VAIN,
    )


def record_unchanged(connection: psycopg.Connection[Any], invoices: pl.DataFrame, found_at: datetime) -> None:
    """Record UNCHANGED_INVOICES that a run at ``found_at`` found; the caller commits."""
    connection.execute(
        "insert into billing.unchanged_invoice (tenant_id, invoice_id, events_known_at, found_at) "
        "select n.tenant_id, n.invoice_id, n.events_known_at, %s "
        "from unnest(%s::text[], %s::uuid[], %s::timestamptz[]) as n(tenant_id, invoice_id, events_known_at) "
        "on conflict do nothing",
        [found_at, *(invoices[name].to_list() for name in UNCHANGED_INVOICES)],
    )


def unchanged_by(
    connection: psycopg.Connection[Any], tenant: str, subscription: str, time: datetime, received_at: datetime
) -> str | None:
    """The number of the invoice of which usage of this time was found to change nothing; None: there is none."""
    found: str | None = value_of(
        connection,
        "select i.number from billing.invoice i join billing.unchanged_invoice u "
        "on u.tenant_id = i.tenant_id and u.invoice_id = i.invoice_id "
        "where i.tenant_id = %s and i.subscription = %s and i.period_from <= %s and i.period_to > %s "
        "and u.events_known_at >= %s order by u.events_known_at, i.sequence limit 1",
        [tenant, subscription, time, time, received_at],
    )
    return found
