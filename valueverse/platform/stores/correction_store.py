"""Finalised invoices that were recomputed without a change, and those whose corrections were voided."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from valueverse.platform.queries import frame_of
from valueverse.platform.stores.billing_store import VOID_COUNTS
from valueverse.schemas.invoicing import CORRECTED_IN_VAIN, UNCHANGED_INVOICES

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl
    import psycopg

    from valueverse.platform.stores.billing_store import Scope


_IN_VAIN = sql.SQL("""
    select distinct l.tenant_id::text as tenant, l.corrected_invoice_id::text as invoice_id
      from billing.invoice_void v
      join billing.invoice_line l on l.tenant_id = v.tenant_id and l.invoice_id = v.invoice_id
     where v.tenant_id = any(%(tenants)s) and l.corrected_invoice_id is not null and {known}
""").format(known=sql.SQL(VOID_COUNTS))


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
    return frame_of(connection, _IN_VAIN, scope.values(), CORRECTED_IN_VAIN)


def record_unchanged(connection: psycopg.Connection[Any], invoices: pl.DataFrame, found_at: datetime) -> None:
    """Record UNCHANGED_INVOICES that a run at ``found_at`` found; the caller commits."""
    connection.execute(
        "insert into billing.unchanged_invoice (tenant_id, invoice_id, events_known_at, found_at) "
        "select n.tenant_id, n.invoice_id, n.events_known_at, %s "
        "from unnest(%s::text[], %s::uuid[], %s::timestamptz[]) as n(tenant_id, invoice_id, events_known_at) "
        "on conflict do nothing",
        [found_at, *(invoices[name].to_list() for name in UNCHANGED_INVOICES)],
    )
