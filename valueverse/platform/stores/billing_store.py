"""Drafts and finalised invoices in Postgres: one transaction per run, gapless numbers, one chain per tenant.

The sequence row of each tenant is locked for the whole transaction, so two runs at once take turns and the second finds
the work done; a run killed at any point leaves what the last commit left.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl
from psycopg import sql

from valueverse.platform.queries import frame_of
from valueverse.platform.warehouse import copy_frame, copy_frames
from valueverse.schemas.dimensions import dimensions_text
from valueverse.schemas.invoicing import (
    BILLED_CREDITS,
    BILLED_DISCOUNTS,
    BILLED_INVOICES,
    BILLED_LINES,
    HELD_LINES,
    RERATINGS,
)
from valueverse.schemas.settlement import INVOICE_VOIDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import psycopg

FOUND = """
       (%(before)s::timestamptz is null or i.finalised_at < %(before)s or i.finalised_at = %(before)s
        and i.sequence < (%(ahead)s::jsonb -> i.tenant_id::text ->> 'sequence')::bigint
        and case i.invoice_type when 'start' then i.period_from else i.period_to end
            <= (%(ahead)s::jsonb -> i.tenant_id::text ->> 'close')::timestamptz)
"""
"""Invoices ``i`` that a scope's run found, or made before those that are asked for."""
VOID_COUNTS = "(%(before)s::timestamptz is null or v.known_since <= %(before)s)"
"""Voids ``v`` that a scope's run had recorded."""
_NOT_VOIDED = f"""
      from billing.invoice i
     where i.tenant_id = any(%(tenants)s)
       and {FOUND}
       and not exists (select from billing.invoice_void v
                        where v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
                          and {VOID_COUNTS})
"""
"""Invoices that stand: with ``before``, those that a run at that instant found."""


@dataclass(frozen=True)
class Scope:
    """Whose invoices are read, and as which run found them.

    Attributes:
        tenants: their keys.
        before: the instant of the run; None: as they are.
        ahead: by tenant, ``sequence`` and ``close`` (ISO instant): what that run itself numbered before this number,
            and that closed no later, stands as well.
    """

    tenants: Sequence[str]
    before: datetime | None = None
    ahead: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def values(self, **more: Any) -> dict[str, Any]:
        """Parameters of the queries below."""
        return {"tenants": list(self.tenants), "before": self.before, "ahead": json.dumps(self.ahead)} | more


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


def canonical_dimensions(rows: pl.DataFrame) -> pl.DataFrame:
    """``dimensions`` as lines carry them: jsonb orders and spaces its text in its own way."""
    texts = {text: dimensions_text(json.loads(text)) if text else "" for text in rows["dimensions"].unique()}
    return rows.with_columns(pl.col("dimensions").replace(texts))


_OF_NOT_VOIDED = f"from (select i.tenant_id, i.invoice_id, i.invoice_type {_NOT_VOIDED}) as i join"
_LINE = """
    l.tenant_id::text as tenant, l.invoice_id::text as invoice_id, l.line_no, l.key, l.kind, l.description, l.meter,
    coalesce(l.dimensions::text, '') as dimensions, l.service_from, l.service_to, l.quantity, l.amount_precise,
    l.amount_minor, l.discount_minor, l.tax_minor, l.event_count, l.corrected_invoice_id::text as corrected_invoice_id,
    null::numeric as tax_percent, null::text as tax_key
"""


def invoices(connection: psycopg.Connection[Any], scope: Scope, among: Sequence[str] | None = None) -> pl.DataFrame:
    """BILLED_INVOICES of the tenants: those that stand, and those that were voided; ``among``: of these invoice_ids."""
    query = f"""
        select i.tenant_id::text as tenant, i.customer, coalesce(i.subscription, '') as subscription, i.invoice_type,
               i.period_from, i.period_to, i.revision, i.invoice_id::text as invoice_id, i.number,
               i.currency::text as currency, i.total_minor, i.amount_due_minor, i.events_known_at, i.sequence,
               i.status = 'finalised' as is_final, v.voided_at
          from billing.invoice i
          left join billing.invoice_void v
            on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
           and {VOID_COUNTS}
         where i.tenant_id = any(%(tenants)s) and (v.invoice_id is not null or {FOUND})
           and (%(among)s::uuid[] is null or i.invoice_id = any(%(among)s::uuid[]))
    """  # noqa: S608 - constants
    return frame_of(connection, query, scope.values(among=None if among is None else list(among)), BILLED_INVOICES)


def corrections(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """BILLED_LINES of not voided invoices that correct other invoices."""
    query = (
        f"select {_LINE} {_OF_NOT_VOIDED} billing.invoice_line l using (tenant_id, invoice_id) "
        "where l.corrected_invoice_id is not null"
    )
    return canonical_dimensions(frame_of(connection, query, scope.values(), BILLED_LINES))


def lines_apart(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """BILLED_LINES of one-offs on not voided invoices, and of not voided threshold invoices."""
    query = " union all ".join(
        f"select {_LINE} {_OF_NOT_VOIDED} billing.invoice_line l using (tenant_id, invoice_id) where {which}"
        for which in (
            "l.kind = 'one_off'",
            "i.invoice_type = 'threshold' and l.kind <> 'one_off' and l.corrected_invoice_id is null",
        )
    )
    return canonical_dimensions(frame_of(connection, query, scope.values(), BILLED_LINES))


def lines_of(connection: psycopg.Connection[Any], scope: Scope, invoices: pl.DataFrame) -> pl.DataFrame:
    """BILLED_LINES of these invoices (tenant, invoice_id) and of what corrects them, with their tax rates."""
    # Two look-ups by index, of the invoices' own lines and of those that correct them.
    query = " union all ".join(
        f"select {_LINE} {_OF_NOT_VOIDED} billing.invoice_line l using (tenant_id, invoice_id) "
        f"where l.{of} = any(%(invoices)s::uuid[]) and l.corrected_invoice_id is {state}"
        for of, state in (("invoice_id", "null"), ("corrected_invoice_id", "not null"))
    )
    rows = frame_of(connection, query, scope.values(invoices=invoices["invoice_id"].to_list()), BILLED_LINES)
    rates = _line_taxes(connection, rows)
    taxed = rows.drop("tax_percent", "tax_key").join(
        rates, on=["tenant", "invoice_id", "line_no"], how="left", maintain_order="left"
    )
    return canonical_dimensions(BILLED_LINES.conform(taxed))


def _line_taxes(connection: psycopg.Connection[Any], lines: pl.DataFrame) -> pl.DataFrame:
    """The tax rates of lines, as their invoices' documents say: tenant, invoice_id, line_no, tax_percent, tax_key of
    those that have one."""
    return frame_of(
        connection,
        "select i.tenant_id::text as tenant, i.invoice_id::text as invoice_id, line_no::int, "
        "(tax ->> 'percent')::numeric as tax_percent, tax ->> 'key' as tax_key "
        "from billing.invoice i, jsonb_array_elements(i.document::jsonb -> 'taxes') tax, "
        "jsonb_array_elements(tax -> 'lines') line_no "
        "where i.tenant_id = any(%(tenants)s) and i.invoice_id = any(%(invoices)s::uuid[]) and i.tax_total_minor <> 0",
        {"tenants": lines["tenant"].unique().to_list(), "invoices": lines["invoice_id"].unique().to_list()},
        BILLED_LINES.part("tenant", "invoice_id", "line_no", "tax_percent", "tax_key"),
    )


def discounts(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """BILLED_DISCOUNTS of not voided invoices."""
    query = (
        "select d.tenant_id::text as tenant, d.invoice_id::text as invoice_id, d.position, d.origin, d.key, "
        f"d.amount_minor {_OF_NOT_VOIDED} billing.invoice_discount d using (tenant_id, invoice_id)"
    )
    return frame_of(connection, query, scope.values(), BILLED_DISCOUNTS)


def credits_paid(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """BILLED_CREDITS of not voided invoices."""
    query = (
        "select c.tenant_id::text as tenant, c.invoice_id::text as invoice_id, c.kind, c.key, c.origin, "
        f"c.amount_minor {_OF_NOT_VOIDED} billing.invoice_credit c using (tenant_id, invoice_id)"
    )
    return frame_of(connection, query, scope.values(), BILLED_CREDITS)


_GIVEN_VOIDS = sql.SQL(
    "unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[], %s::timestamptz[]) with ordinality "
    "as n(tenant_id, number, reason, voided_at, received_at, place)"
)
_VOID = sql.SQL("""
    insert into billing.invoice_void (tenant_id, invoice_id, reason, voided_at, recorded_at)
    select i.tenant_id, i.invoice_id, n.reason, n.voided_at, %s
      from {given}
      join billing.invoice i on i.tenant_id = n.tenant_id and i.number = n.number and i.events_known_at < n.received_at
     order by n.place
        on conflict do nothing""")
_UNKNOWN_TO_VOID = sql.SQL("""
    select n.tenant_id as tenant, n.number, n.received_at
      from {given}
     where not exists (
            select from billing.invoice i
              left join billing.invoice_void v on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
             where i.tenant_id = n.tenant_id and i.number = n.number
               and (i.events_known_at < n.received_at or v.invoice_id is not null))""")


def void(connection: psycopg.Connection[Any], voids: pl.DataFrame, recorded_at: datetime) -> None:
    """Void finalised invoices (INVOICE_VOIDS, of several the first); those voided before stay as they are.

    ``recorded_at``: the instant of the run, from which on they are known to be voided.
    """
    connection.execute(_VOID.format(given=_GIVEN_VOIDS), [recorded_at, *_given(voids)])


def unknown_to_void(connection: psycopg.Connection[Any], voids: pl.DataFrame) -> pl.DataFrame:
    """tenant, number, received_at of the INVOICE_VOIDS whose number no invoice had when they were received: the run
    that assigned it did not know them yet."""
    unknown = _UNKNOWN_TO_VOID.format(given=_GIVEN_VOIDS)
    return frame_of(connection, unknown, _given(voids), INVOICE_VOIDS.part("tenant", "number", "received_at"))


def _given(voids: pl.DataFrame) -> list[list[Any]]:
    return [voids[name].to_list() for name in ("tenant", "number", "reason", "voided_at", "received_at")]


_PERIODS = HELD_LINES.part("tenant", "invoice_type", "period_from", "period_to")


def voided_by(connection: psycopg.Connection[Any], tenants: Sequence[str], recorded_at: datetime) -> pl.DataFrame:
    """tenant, invoice_type, period_from, period_to of the invoices that the run at this instant has voided."""
    query = """
        select i.tenant_id::text as tenant, i.invoice_type, i.period_from, i.period_to
          from billing.invoice_void v
          join billing.invoice i on i.tenant_id = v.tenant_id and i.invoice_id = v.invoice_id
         where v.tenant_id = any(%s) and v.recorded_at = %s"""
    return frame_of(connection, query, [list(tenants), recorded_at], _PERIODS)


def drop_drafts(connection: psycopg.Connection[Any], windows: pl.DataFrame) -> int:
    """Delete the drafts that close in each tenant's window (tenant, window_from, window_to); they are recomputed."""
    deleted = connection.execute(
        "delete from billing.invoice i using "
        "unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) as w(tenant_id, window_from, window_to) "
        "where i.tenant_id = w.tenant_id and i.status = 'draft' and ("
        # What follows from single events, not from the window, is recomputed by every run.
        " i.invoice_type in ('one_off', 'correction')"
        " or (i.invoice_type in ('period', 'threshold') and i.period_to > w.window_from and i.period_to <= w.window_to)"
        " or (i.invoice_type = 'start' and i.period_from >= w.window_from and i.period_from < w.window_to))",
        [windows[name].to_list() for name in ("tenant", "window_from", "window_to")],
    )
    return deleted.rowcount


def insert_invoices(connection: psycopg.Connection[Any], tables: Mapping[str, pl.DataFrame]) -> None:
    """Insert whole invoices (drafts and finalised alike): billing.invoice first, then what belongs to it."""
    copy_frames(connection, tables)


def advance_sequences(connection: psycopg.Connection[Any], last: dict[str, tuple[int, str | None]]) -> None:
    """Record the last number and chain hash given out, in the transaction that inserts those invoices."""
    connection.execute(
        "update billing.invoice_sequence s set last_sequence = n.last_sequence, last_hash = n.last_hash "
        "from unnest(%s::text[], %s::bigint[], %s::text[]) as n(tenant_id, last_sequence, last_hash) "
        "where s.tenant_id = n.tenant_id",
        [list(last), [sequence for sequence, _ in last.values()], [chained for _, chained in last.values()]],
    )


def reratings(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """RERATINGS: the last re-rating applied to each invoice."""
    return frame_of(
        connection,
        "select distinct on (tenant_id, invoice_id) tenant_id::text as tenant, invoice_id::text as invoice_id, "
        "catalog_hash as rerate_catalog_hash, document "
        "from billing.rerating where tenant_id = any(%(tenants)s) "
        "and (%(before)s::timestamptz is null or applied_at < %(before)s) "
        "order by tenant_id, invoice_id, applied_at desc, plan_id",
        scope.values(),
        RERATINGS,
    )


def apply_rerating(connection: psycopg.Connection[Any], rows: pl.DataFrame) -> None:
    """Record an applied plan, in the columns of billing.rerating; one that was applied before stays as it is."""
    connection.execute("create temporary table new_rerating (like billing.rerating including defaults) on commit drop")
    copy_frame(connection, "pg_temp.new_rerating", rows)
    connection.execute("insert into billing.rerating select * from new_rerating on conflict do nothing")


def upsert_tenants(connection: psycopg.Connection[Any], tenants: pl.DataFrame) -> None:
    """Write tenants (tenant_id and TENANT_PROFILES) as they now stand."""
    if tenants.is_empty():
        return
    connection.execute("create temporary table new_tenant (like billing.tenant including defaults) on commit drop")
    copy_frame(connection, "pg_temp.new_tenant", tenants)
    connection.execute(
        "insert into billing.tenant (tenant_id, name, timezone, currency, grace_seconds, country, tax_id, address, "
        "invoicing) select tenant_id, name, timezone, currency, grace_seconds, country, tax_id, address, invoicing "
        "from new_tenant "
        "on conflict (tenant_id) do update set name = excluded.name, timezone = excluded.timezone, "
        "currency = excluded.currency, grace_seconds = excluded.grace_seconds, country = excluded.country, "
        "tax_id = excluded.tax_id, address = excluded.address, "
        "invoicing = excluded.invoicing, updated_at = now()"
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
    copy_frames(connection, tables)
