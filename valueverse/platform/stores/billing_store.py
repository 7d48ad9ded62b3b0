"""Drafts and finalised invoices in Postgres: one transaction per run, gapless numbers, one chain per tenant.

The sequence row of each tenant is locked for the whole transaction, so two runs at once take turns and the second finds
the work done; a run killed at any point leaves what the last commit left.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
from psycopg import sql

from valueverse.platform.warehouse import copy_frame, copy_frames

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import psycopg

_INSTANT = pl.Datetime("us", "UTC")
_TEXT, _MINOR = pl.String(), pl.Int64()
_EXACT = pl.Decimal(38, 18)
_PERIODS: dict[str, pl.DataType] = {
    "tenant": _TEXT,
    "invoice_id": _TEXT,
    "subscription": _TEXT,
    "period_from": _INSTANT,
    "period_to": _INSTANT,
    "events_known_at": _INSTANT,
}
FOUND = """
       (%(before)s::timestamptz is null or i.finalised_at < %(before)s or i.finalised_at = %(before)s
        and i.sequence < (%(ahead)s::jsonb -> i.tenant_id::text ->> 'sequence')::bigint
        and case i.invoice_type when 'start' then i.period_from else i.period_to end
            <= (%(ahead)s::jsonb -> i.tenant_id::text ->> 'close')::timestamptz)
"""
"""Invoices ``i`` that a scope's run found, or made before those that are asked for."""
_STANDING = f"""
      from billing.invoice i
     where i.tenant_id = any(%(tenants)s)
       and {FOUND}
       and not exists (select from billing.invoice_void v
                        where v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id
                          and (%(before)s::timestamptz is null or v.voided_at < %(before)s))
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


def _frame(
    connection: psycopg.Connection[Any],
    query: str,
    values: Sequence[Any] | Mapping[str, Any],
    schema: dict[str, pl.DataType],
) -> pl.DataFrame:
    return pl.DataFrame(connection.execute(query, values).fetchall(), schema=schema, orient="row")


def _canonical(rows: pl.DataFrame) -> pl.DataFrame:
    """``dimensions`` as lines carry them: jsonb orders and spaces its text in its own way."""
    texts = {
        text: json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False) if text else ""
        for text in rows["dimensions"].unique()
    }
    return rows.with_columns(pl.col("dimensions").replace(texts))


_INVOICES: dict[str, pl.DataType] = {
    "tenant": _TEXT, "customer": _TEXT, "subscription": _TEXT, "invoice_type": _TEXT, "period_from": _INSTANT,
    "period_to": _INSTANT, "revision": pl.Int32(), "invoice_id": _TEXT, "number": _TEXT, "currency": _TEXT,
    "total_minor": _MINOR, "events_known_at": _INSTANT,
}  # fmt: skip


def finalised(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """The tenants' finalised invoices that were not voided, with the newest state of knowledge booked for each."""
    query = (
        "select i.tenant_id::text, i.customer, coalesce(i.subscription, ''), i.invoice_type, i.period_from, "
        "i.period_to, "
        f"i.revision, i.invoice_id::text, i.number, i.currency::text, i.total_minor, i.events_known_at {_STANDING} "
        "and i.status = 'finalised'"
    )
    return _newest_known(connection, scope, _frame(connection, query, scope.values(), _INVOICES))


def _newest_known(connection: psycopg.Connection[Any], scope: Scope, invoices: pl.DataFrame) -> pl.DataFrame:
    """``invoices`` (tenant, invoice_id, events_known_at, ...) with the state of knowledge of the newest standing
    invoice that corrects each, where that is newer.

    A query of its own: within a run the planner has no statistics of what the run wrote, and two plain reads stay
    linear under any estimate.
    """
    query = (
        "select l.tenant_id::text, l.corrected_invoice_id::text, max(i.events_known_at) "  # noqa: S608 - constants
        f"from (select i.tenant_id, i.invoice_id, i.events_known_at {_STANDING}) as i "
        "join billing.invoice_line l using (tenant_id, invoice_id) where l.corrected_invoice_id is not null "
        "group by 1, 2"
    )
    schema = {"tenant": _TEXT, "invoice_id": _TEXT, "corrected_at": _INSTANT}
    corrected = _frame(connection, query, scope.values(), schema)
    newest = pl.max_horizontal("events_known_at", "corrected_at").alias("events_known_at")
    joined = invoices.join(corrected, on=["tenant", "invoice_id"], how="left", maintain_order="left")
    return joined.with_columns(newest).drop("corrected_at")


def voided(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """The tenants' voided invoices, and when they were."""
    return _frame(
        connection,
        "select i.tenant_id::text, i.customer, coalesce(i.subscription, ''), i.invoice_type, i.period_from, "
        "i.period_to, "
        "i.revision, i.invoice_id::text, i.number, i.currency::text, i.total_minor, v.voided_at from billing.invoice i "
        "join billing.invoice_void v on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id "
        "where i.tenant_id = any(%(tenants)s) and (%(before)s::timestamptz is null or v.voided_at < %(before)s)",
        scope.values(),
        {name: dtype for name, dtype in _INVOICES.items() if name != "events_known_at"} | {"voided_at": _INSTANT},
    )


def void(connection: psycopg.Connection[Any], voids: pl.DataFrame) -> pl.DataFrame:
    """Void finalised invoices (tenant, number, reason, voided_at); those voided before stay as they are.

    Returns:
        tenant, number of those that no finalised invoice bears.
    """
    columns = [voids[name].to_list() for name in ("tenant", "number", "reason", "voided_at")]
    given = "unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[]) as n(tenant_id, number, reason, voided_at)"
    connection.execute(
        "insert into billing.invoice_void (tenant_id, invoice_id, reason, voided_at) "  # noqa: S608 - constants
        f"select i.tenant_id, i.invoice_id, n.reason, n.voided_at from {given} "
        "join billing.invoice i on i.tenant_id = n.tenant_id and i.number = n.number on conflict do nothing",
        columns,
    )
    unknown = (
        f"select n.tenant_id, n.number from {given} where not exists (select from billing.invoice i "  # noqa: S608 - constants
        "where i.tenant_id = n.tenant_id and i.number = n.number)"
    )
    return _frame(connection, unknown, columns, {"tenant": _TEXT, "number": _TEXT})


def one_offs_billed(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """tenant, key of every one-off line that stands."""
    query = (
        f"select l.tenant_id::text, l.key from (select i.tenant_id, i.invoice_id {_STANDING}) as i "  # noqa: S608 - constants
        "join billing.invoice_line l using (tenant_id, invoice_id) where l.kind = 'one_off'"
    )
    return _frame(connection, query, scope.values(), {"tenant": _TEXT, "key": _TEXT})


def booked_lines(connection: psycopg.Connection[Any], scope: Scope, invoices: pl.DataFrame) -> pl.DataFrame:
    """What is booked for these invoices (tenant, invoice_id): ``differences.BOOKED_LINES``."""
    schema = {
        "tenant": _TEXT, "invoice_id": _TEXT, "key": _TEXT, "kind": _TEXT, "description": _TEXT, "meter": _TEXT,
        "dimensions": _TEXT, "quantity": _EXACT, "amount_minor": _MINOR, "net_minor": _MINOR, "event_count": _MINOR,
        "service_to": _INSTANT, "line_origin": _TEXT, "line_no": pl.Int32(),
    }  # fmt: skip
    order = {"sequence": _MINOR, "bearer": _TEXT, "bearer_line": pl.Int32()}
    # Two look-ups by index, of the invoices' own lines and of those that correct them.
    query = " union all ".join(
        f"select l.tenant_id::text, l.{of}::text, l.key, l.kind, l.description, l.meter, "  # noqa: S608 - constants
        "coalesce(l.dimensions::text, ''), "
        "l.quantity, l.amount_minor, l.amount_minor - l.discount_minor, l.event_count, l.service_to, "
        f"case when l.kind in ('one_off', 'outcome') then 'lasting' else 'own' end, {place}, "
        "i.sequence, invoice_id::text, l.line_no "
        f"from (select i.tenant_id, i.invoice_id, i.sequence {_STANDING}) as i join billing.invoice_line l "
        f"using (tenant_id, invoice_id) where l.{of} = any(%(invoices)s::uuid[]) and l.corrected_invoice_id is {state}"
        for of, state, place in (("invoice_id", "null", "l.line_no"), ("corrected_invoice_id", "not null", "null::int"))
    )
    rows = _frame(connection, query, scope.values(invoices=invoices["invoice_id"].to_list()), schema | order)
    taxes = _line_taxes(connection, rows)
    borne = rows.join(taxes, on=["tenant", "bearer", "bearer_line"], how="left", maintain_order="left")
    untaxed = pl.col("booked_tax_percent").fill_null(Decimal(0)), pl.col("booked_tax_key").fill_null("")
    return _canonical(borne.with_columns(untaxed).sort("tenant", *order, nulls_last=True).drop(*order))


def _line_taxes(connection: psycopg.Connection[Any], lines: pl.DataFrame) -> pl.DataFrame:
    """The taxes that lines bear, as their invoices' documents say: tenant, bearer, bearer_line, booked_tax_percent,
    booked_tax_key of those that bear one."""
    return _frame(
        connection,
        "select i.tenant_id::text, i.invoice_id::text, place::int, (tax ->> 'percent')::numeric, tax ->> 'key' "
        "from billing.invoice i, jsonb_array_elements(i.document::jsonb -> 'taxes') tax, "
        "jsonb_array_elements(tax -> 'lines') place "
        "where i.tenant_id = any(%s) and i.invoice_id = any(%s::uuid[]) and i.tax_total_minor <> 0",
        [lines["tenant"].unique().to_list(), lines["bearer"].unique().to_list()],
        {
            **dict.fromkeys(("tenant", "bearer"), _TEXT), "bearer_line": pl.Int32(),
            "booked_tax_percent": _EXACT, "booked_tax_key": _TEXT,
        },
    )  # fmt: skip


def early_lines(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """What standing threshold invoices bore, by line (``thresholds.THRESHOLD_LINES``); ``threshold_at``: where
    they close."""
    schema = {
        **dict.fromkeys(("tenant", "customer", "subscription"), _TEXT), "period_from": _INSTANT,
        "threshold_at": _INSTANT,
        **dict.fromkeys(("key", "kind", "dimensions"), _TEXT), "quantity": _EXACT, "amount_precise": _EXACT,
        **dict.fromkeys(("amount_minor", "discount_minor", "event_count"), _MINOR),
    }  # fmt: skip
    query = (
        "select l.tenant_id::text, i.customer, i.subscription, i.period_from, i.period_to, l.key, l.kind, "  # noqa: S608 - constants
        "coalesce(l.dimensions::text, ''), l.quantity, l.amount_precise, l.amount_minor, l.discount_minor, "
        f"l.event_count from (select i.* {_STANDING} and i.invoice_type = 'threshold') as i "
        "join billing.invoice_line l using (tenant_id, invoice_id) "
        "order by i.tenant_id, i.subscription, i.period_from, i.period_to, i.invoice_id, l.line_no"
    )
    return _canonical(_frame(connection, query, scope.values(), schema))


def early_coupons(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """What coupons took on standing threshold invoices (``thresholds.THRESHOLD_COUPONS``)."""
    query = (
        "select i.tenant_id::text, i.customer, i.subscription, i.period_from, d.origin, d.key, d.amount_minor "  # noqa: S608 - constants
        f"from (select i.* {_STANDING} and i.invoice_type = 'threshold') as i "
        "join billing.invoice_discount d using (tenant_id, invoice_id) "
        "order by i.tenant_id, i.subscription, i.period_from, i.period_to, i.invoice_id, d.position"
    )
    names = ("tenant", "customer", "subscription", "period_from", "origin", "key", "amount_minor")
    other = {"period_from": _INSTANT, "amount_minor": _MINOR}
    return _frame(connection, query, scope.values(), {name: other.get(name, _TEXT) for name in names})


def discounts_of(connection: psycopg.Connection[Any], invoices: pl.DataFrame) -> pl.DataFrame:
    """tenant, invoice_id, origin, amount_minor of the coupons that these invoices (tenant, invoice_id) bear."""
    return _frame(
        connection,
        "select tenant_id::text, invoice_id::text, origin, amount_minor from billing.invoice_discount "
        "where tenant_id = any(%s) and invoice_id = any(%s::uuid[]) order by tenant_id, invoice_id, position",
        [invoices["tenant"].unique().to_list(), invoices["invoice_id"].to_list()],
        {"tenant": _TEXT, "invoice_id": _TEXT, "origin": _TEXT, "amount_minor": _MINOR},
    )


def used_up(connection: psycopg.Connection[Any], scope: Scope) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """What standing invoices used of credits and coupons, and what they owe.

    The first frame is tenant, customer, currency, kind, key, origin, is_final, amount_minor; the second schema.USES;
    the third lists invoices below zero: tenant, customer, currency, origin, key, amount_minor, created_at.
    """
    standing = f"(select i.* {_STANDING}) as i"
    paid = _frame(
        connection,
        "select i.tenant_id::text, i.customer, i.currency::text, c.kind, c.key, c.origin, "  # noqa: S608 - constants
        f"i.status = 'finalised', sum(c.amount_minor)::bigint from {standing} "
        "join billing.invoice_credit c using (tenant_id, invoice_id) group by 1, 2, 3, 4, 5, 6, 7",
        scope.values(),
        dict.fromkeys(("tenant", "customer", "currency", "kind", "key", "origin"), _TEXT)
        | {"is_final": pl.Boolean(), "amount_minor": _MINOR},
    )
    coupons = _frame(
        connection,
        "select d.tenant_id::text, d.origin, coalesce(i.subscription, ''), i.period_from, "  # noqa: S608 - constants
        "coalesce(sum(d.amount_minor) filter (where i.invoice_type in ('threshold', 'period')), 0)::bigint "
        f"from {standing} join billing.invoice_discount d using (tenant_id, invoice_id) "
        "group by 1, 2, 3, 4 order by 1, 2, 3, 4",
        scope.values(),
        {"tenant": _TEXT, "origin": _TEXT, "subscription": _TEXT, "period_from": _INSTANT, "amount_minor": _MINOR},
    )
    owed = _frame(
        connection,
        "select i.tenant_id::text, i.customer, i.currency::text, i.invoice_id::text, "  # noqa: S608 - constants
        "format('balance:%%s/%%s', to_char(i.period_from at time zone 'utc', 'YYYY-MM-DD'), "
        "to_char(i.period_to at time zone 'utc', 'YYYY-MM-DD')), -i.amount_due_minor, "
        f"case i.invoice_type when 'start' then i.period_from else i.period_to end from {standing} "
        "where i.amount_due_minor < 0",
        scope.values(),
        {
            "tenant": _TEXT, "customer": _TEXT, "currency": _TEXT, "origin": _TEXT, "key": _TEXT,
            "amount_minor": _MINOR, "created_at": _INSTANT,
        },
    )  # fmt: skip
    return paid, coupons, owed


def drop_drafts(connection: psycopg.Connection[Any], windows: pl.DataFrame) -> int:
    """Delete the drafts that close in each tenant's window (tenant, window_from, window_to); they are computed anew."""
    deleted = connection.execute(
        "delete from billing.invoice i using "
        "unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) as w(tenant_id, window_from, window_to) "
        "where i.tenant_id = w.tenant_id and i.status = 'draft' and ("
        # What follows from single events, not from the window, is computed anew by every run.
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


def booked_periods(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """The closed periods that an invoice, draft or finalised, has booked: what usage is billed by."""
    query = (
        "select i.tenant_id::text, i.invoice_id::text, i.subscription, i.period_from, i.period_to, i.events_known_at "
        f"{_STANDING} and i.invoice_type in ('period', 'threshold')"
    )
    return _newest_known(connection, scope, _frame(connection, query, scope.values(), _PERIODS)).drop("invoice_id")


def reratings(connection: psycopg.Connection[Any], scope: Scope) -> pl.DataFrame:
    """The last re-rating applied to each invoice: tenant, invoice_id, under (null: its own terms), document."""
    return _frame(
        connection,
        "select distinct on (tenant_id, invoice_id) tenant_id::text, invoice_id::text, catalog_hash, document "
        "from billing.rerating where tenant_id = any(%(tenants)s) "
        "and (%(before)s::timestamptz is null or applied_at < %(before)s) "
        "order by tenant_id, invoice_id, applied_at desc, plan_id",
        scope.values(),
        {"tenant": _TEXT, "invoice_id": _TEXT, "rerate_catalog_hash": _TEXT, "document": _TEXT},
    )


def apply_rerating(connection: psycopg.Connection[Any], rows: pl.DataFrame) -> None:
    """Record an applied plan, in the columns of billing.rerating; one that was applied before stays as it is."""
    connection.execute("create temporary table told_rerating (like billing.rerating including defaults) on commit drop")
    copy_frame(connection, "pg_temp.told_rerating", rows)
    connection.execute("insert into billing.rerating select * from told_rerating on conflict do nothing")


def upsert_tenants(connection: psycopg.Connection[Any], tenants: pl.DataFrame) -> None:
    """Write tenants (tenant_id and facts.TENANTS) as they now stand."""
    if tenants.is_empty():
        return
    connection.execute("create temporary table told_tenant (like billing.tenant including defaults) on commit drop")
    copy_frame(connection, "pg_temp.told_tenant", tenants)
    connection.execute(
        "insert into billing.tenant (tenant_id, name, timezone, currency, grace_seconds, country, tax_id, address) "
        "select tenant_id, name, timezone, currency, grace_seconds, country, tax_id, address from told_tenant "
        "on conflict (tenant_id) do update set name = excluded.name, timezone = excluded.timezone, "
        "currency = excluded.currency, grace_seconds = excluded.grace_seconds, country = excluded.country, "
        "tax_id = excluded.tax_id, address = excluded.address, updated_at = now()"
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
