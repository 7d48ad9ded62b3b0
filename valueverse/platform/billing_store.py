"""Drafts and finalised invoices in Postgres: one transaction per run, gapless numbers, one chain per tenant.

The sequence row of each tenant is locked for the whole transaction, so two runs at once take turns and the second finds
the work done; a run killed at any point leaves what the last commit left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from psycopg import sql

from valueverse.platform.warehouse import copy_frame

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    import psycopg

_INSTANT = pl.Datetime("us", "UTC")
_IDENTITY: dict[str, pl.DataType] = {
    "tenant": pl.String(),
    "customer": pl.String(),
    "subscription": pl.String(),
    "purpose": pl.String(),
    "period_from": _INSTANT,
    "period_to": _INSTANT,
    "events_known_at": _INSTANT,
}


def lock_tenants(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> dict[str, tuple[int, str | None]]:
    """Lock the tenants' sequences until the transaction ends; give (last number, last chain hash) of each."""
    ordered = sorted(tenants)
    connection.execute(
        "insert into billing.invoice_sequence (tenant_id, last_sequence, last_hash) "
        "select tenant, 0, null from unnest(%s::text[]) as tenant on conflict do nothing",
        [ordered],
    )
    rows = connection.execute(
        "select tenant_id, last_sequence, last_hash from billing.invoice_sequence "
        "where tenant_id = any(%s) order by tenant_id for update",
        [ordered],
    ).fetchall()
    return {tenant: (last, chained) for tenant, last, chained in rows}


def finalised(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """Identity and ``events_known_at`` of the tenants' finalised invoices."""
    rows = connection.execute(
        "select tenant_id::text, customer, subscription, purpose, period_from, period_to, events_known_at "
        "from billing.invoice where status = 'finalised' and tenant_id = any(%s)",
        [list(tenants)],
    ).fetchall()
    return pl.DataFrame(rows, schema=_IDENTITY, orient="row")


def drop_drafts(connection: psycopg.Connection[Any], windows: pl.DataFrame) -> int:
    """Delete the drafts that close in each tenant's window (tenant, window_from, window_to); they are computed anew."""
    deleted = connection.execute(
        "delete from billing.invoice i using "
        "unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) as w(tenant_id, window_from, window_to) "
        "where i.tenant_id = w.tenant_id and i.status = 'draft' and ("
        " (i.purpose = 'period' and i.period_to > w.window_from and i.period_to <= w.window_to)"
        " or (i.purpose = 'start' and i.period_from >= w.window_from and i.period_from < w.window_to))",
        [windows[name].to_list() for name in ("tenant", "window_from", "window_to")],
    )
    return deleted.rowcount


def insert_invoices(connection: psycopg.Connection[Any], invoices: pl.DataFrame, lines: pl.DataFrame) -> None:
    """Insert whole invoices (drafts and finalised alike) with their lines, in the tables' own columns."""
    if invoices.is_empty():
        return
    copy_frame(connection, "billing.invoice", invoices)
    copy_frame(connection, "billing.invoice_line", lines)


def advance_sequences(connection: psycopg.Connection[Any], last: dict[str, tuple[int, str | None]]) -> None:
    """Record the last number and chain hash given out, in the transaction that inserts those invoices."""
    connection.execute(
        "update billing.invoice_sequence s set last_sequence = n.last_sequence, last_hash = n.last_hash "
        "from unnest(%s::text[], %s::bigint[], %s::text[]) as n(tenant_id, last_sequence, last_hash) "
        "where s.tenant_id = n.tenant_id",
        [list(last), [sequence for sequence, _ in last.values()], [chained for _, chained in last.values()]],
    )


def booked_periods(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """The closed periods that an invoice, draft or finalised, has booked: what usage is billed by."""
    rows = connection.execute(
        "select tenant_id::text, subscription, period_from, period_to, events_known_at from billing.invoice "
        "where purpose = 'period' and tenant_id = any(%s)",
        [list(tenants)],
    ).fetchall()
    names = ("tenant", "subscription", "period_from", "period_to", "events_known_at")
    return pl.DataFrame(rows, schema={name: _IDENTITY[name] for name in names}, orient="row")


def upsert_tenants(connection: psycopg.Connection[Any], tenants: pl.DataFrame) -> None:
    """Write tenants (tenant_id, name, timezone, currency, grace_seconds) as they now stand."""
    if tenants.is_empty():
        return
    connection.execute("create temporary table told_tenant (like billing.tenant including defaults) on commit drop")
    copy_frame(connection, "pg_temp.told_tenant", tenants)
    connection.execute(
        "insert into billing.tenant (tenant_id, name, timezone, currency, grace_seconds) "
        "select tenant_id, name, timezone, currency, grace_seconds from told_tenant on conflict (tenant_id) do update "
        "set name = excluded.name, timezone = excluded.timezone, currency = excluded.currency, "
        "grace_seconds = excluded.grace_seconds, updated_at = now()"
    )


def replace_tenant_rows(
    connection: psycopg.Connection[Any], tenants: Sequence[str], tables: Mapping[str, pl.DataFrame]
) -> None:
    """Replace all rows of these tenants in derived tables; referenced tables come first in ``tables``."""
    for table in reversed(list(tables)):
        connection.execute(
            sql.SQL("delete from {} where tenant_id = any(%s)").format(sql.Identifier(*table.split("."))),
            [list(tenants)],
        )
    for table, frame in tables.items():
        if not frame.is_empty():
            copy_frame(connection, table, frame)


def replace_days(
    connection: psycopg.Connection[Any],
    table: str,
    frame: pl.DataFrame,
    *,
    tenants: Sequence[str],
    first: date,
    last: date,
) -> None:
    """Replace the tenants' rows of the days from ``first`` to ``last`` in a table keyed by tenant_id and day."""
    connection.execute(
        sql.SQL("delete from {} where tenant_id = any(%s) and day between %s and %s").format(
            sql.Identifier(*table.split("."))
        ),
        [list(tenants), first, last],
    )
    if not frame.is_empty():
        copy_frame(connection, table, frame)
