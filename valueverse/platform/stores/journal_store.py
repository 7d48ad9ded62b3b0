"""The journal in Postgres: what is booked, what is still to be booked, and entries added in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.platform.queries import frame_of
from valueverse.platform.warehouse import copy_frames
from valueverse.schemas.ledger import (
    AMOUNTS_OWED,
    BOOKED_MOVEMENTS,
    DOCUMENT_CREDITS,
    DOCUMENT_LINES,
    INVOICES_TO_BOOK,
    JOURNAL_ENTRIES,
    JOURNAL_POSTINGS,
    PAYABLE_INVOICES,
    WALLET_USES,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import psycopg

_OF_INVOICES = "e.kind in ('invoice', 'revenue_recognition', 'void')"
_LOCK = 5_480_004


def lock_journal(connection: psycopg.Connection[Any]) -> None:
    """Let one run at a time book, until the transaction ends: two would book the same difference."""
    connection.execute("select pg_advisory_xact_lock(%s)", [_LOCK])


def unbooked(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """Finalised invoices that the journal does not know yet, or not yet as voided (INVOICES_TO_BOOK).

    An invoice whose lines are all 0 moves nothing and is left out.
    """
    return frame_of(
        connection,
        "select i.tenant_id::text as tenant, i.number, i.document, coalesce(s.timezone, t.timezone) as timezone "
        "from billing.invoice i join billing.tenant t using (tenant_id) "
        "left join billing.subscription s on s.tenant_id = i.tenant_id and s.subscription = i.subscription "
        "left join billing.invoice_void v on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id "
        "where i.tenant_id = any(%s) and i.status = 'finalised' and not exists ("
        " select from billing.journal_entry e where e.tenant_id = i.tenant_id and e.reference = i.number"
        " and e.kind = case when v.invoice_id is null then 'invoice' else 'void' end) "
        "and exists (select from billing.invoice_line l where l.tenant_id = i.tenant_id"
        " and l.invoice_id = i.invoice_id and l.amount_minor <> 0) "
        "order by i.tenant_id, i.sequence",
        [list(tenants)],
        INVOICES_TO_BOOK,
    )


def line_discounts(connection: psycopg.Connection[Any], invoices: pl.DataFrame) -> pl.DataFrame:
    """tenant, number, line_no, discount_minor of the lines of these invoices (tenant, number)."""
    return frame_of(
        connection,
        "select i.tenant_id::text as tenant, i.number, l.line_no, l.discount_minor "
        "from unnest(%s::text[], %s::text[]) as n(tenant_id, number) "
        "join billing.invoice i on i.tenant_id = n.tenant_id and i.number = n.number "
        "join billing.invoice_line l on l.tenant_id = i.tenant_id and l.invoice_id = i.invoice_id",
        [invoices["tenant"].to_list(), invoices["number"].to_list()],
        DOCUMENT_LINES.part("tenant", "number", "line_no", "discount_minor"),
    )


def credit_origins(connection: psycopg.Connection[Any], invoices: pl.DataFrame) -> pl.DataFrame:
    """tenant, number, position, origin of the credits of these invoices (tenant, number)."""
    return frame_of(
        connection,
        "select i.tenant_id::text as tenant, i.number, c.position, c.origin "
        "from unnest(%s::text[], %s::text[]) as n(tenant_id, number) "
        "join billing.invoice i on i.tenant_id = n.tenant_id and i.number = n.number "
        "join billing.invoice_credit c on c.tenant_id = i.tenant_id and c.invoice_id = i.invoice_id",
        [invoices["tenant"].to_list(), invoices["number"].to_list()],
        DOCUMENT_CREDITS.part("tenant", "number", "position", "origin"),
    )


def bills(connection: psycopg.Connection[Any], named: pl.DataFrame) -> pl.DataFrame:
    """The finalised ones of these invoices (tenant, number): customer, currency, tax_minor, total_minor, voided_at,
    events_known_at."""
    return frame_of(
        connection,
        "select i.tenant_id::text as tenant, i.number, i.customer, i.currency::text as currency, "
        "i.tax_total_minor as tax_minor, i.total_minor, v.voided_at, i.events_known_at "
        "from (select distinct * from unnest(%s::text[], "
        "%s::text[]) as u(tenant_id, number)) as n "
        "join billing.invoice i on i.tenant_id = n.tenant_id and i.number = n.number "
        "left join billing.invoice_void v on v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id",
        [named["tenant"].to_list(), named["number"].to_list()],
        PAYABLE_INVOICES,
    )


def credits_used(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """tenant, origin, amount_minor: what finalised invoices that stand used of each grant and purchase."""
    return frame_of(
        connection,
        "select c.tenant_id::text as tenant, c.origin, sum(c.amount_minor)::bigint as amount_minor from "
        "billing.invoice_credit c "
        "join billing.invoice i using (tenant_id, invoice_id) "
        "where c.tenant_id = any(%s) and c.kind = 'wallet' and i.status = 'finalised' and not exists ("
        " select from billing.invoice_void v where v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id) "
        "group by c.tenant_id, c.origin",
        [list(tenants)],
        WALLET_USES,
    )


def booked(connection: psycopg.Connection[Any], tenants: Sequence[str], invoices: pl.DataFrame) -> pl.DataFrame:
    """Every posting of these invoices (tenant, number) and of the tenants' billing events, with its entry's columns."""
    columns = (
        "e.tenant_id::text as tenant, e.kind, e.reference, e.date, e.currency::text as currency, p.account, "
        "p.customer, "
        "p.invoice, p.wallet, p.amount_minor, e.revision"
    )
    postings = "join billing.journal_posting p on p.tenant_id = e.tenant_id and p.entry_id = e.entry_id"
    return frame_of(
        connection,
        f"select {columns} from billing.journal_entry e {postings} "  # noqa: S608 - constants
        f"where e.tenant_id = any(%s) and not {_OF_INVOICES} "
        f"union all select {columns} from unnest(%s::text[], %s::text[]) as n(tenant_id, number) "
        "join billing.journal_entry e on e.tenant_id = n.tenant_id and e.reference = n.number "
        f"and {_OF_INVOICES} {postings}",
        [list(tenants), invoices["tenant"].to_list(), invoices["number"].to_list()],
        BOOKED_MOVEMENTS,
    )


def add(
    connection: psycopg.Connection[Any],
    entries: pl.DataFrame,
    postings: pl.DataFrame,
    *,
    run_id: str,
    booked_at: datetime,
) -> None:
    """Add entries with their postings; the caller commits."""
    if entries.is_empty():
        return
    stamped = entries.with_columns(pl.lit(run_id).alias("run_id"), pl.lit(booked_at).alias("booked_at"))
    tables = {"billing.journal_entry": stamped, "billing.journal_posting": postings}
    copy_frames(connection, {table: rows.rename({"tenant": "tenant_id"}) for table, rows in tables.items()})


def replace_not_booked(
    connection: psycopg.Connection[Any], tenants: Sequence[str], rejected: pl.DataFrame, decided_at: datetime
) -> None:
    """List the payments that cannot be booked now (REJECTED_EVENTS) in the place of those that could not before.

    Billing lists what it could not apply itself in the same table; a payment is never among that.
    """
    connection.execute(
        "delete from billing.rejected_event where tenant_id = any(%s) and type like 'billing.payment.%%'",
        [list(tenants)],
    )
    rows = rejected.rename({"tenant": "tenant_id"}).with_columns(pl.lit(decided_at).alias("decided_at"))
    copy_frames(connection, {"billing.rejected_event": rows})


def read_entries(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """The tenants' entries: tenant, entry_id, kind, reference, date, currency, revision."""
    return frame_of(
        connection,
        "select tenant_id::text as tenant, entry_id, kind, reference, date, currency::text as currency, revision "
        "from billing.journal_entry where tenant_id = any(%s)",
        [list(tenants)],
        JOURNAL_ENTRIES,
    )


def read_postings(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """The tenants' postings: tenant, entry_id, position, account, customer, invoice, wallet, amount_minor, currency."""
    return frame_of(
        connection,
        "select tenant_id::text as tenant, entry_id, position, account, customer, invoice, wallet, amount_minor, "
        "currency::text as currency from billing.journal_posting where tenant_id = any(%s)",
        [list(tenants)],
        JOURNAL_POSTINGS,
    )


def balances(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """What the journal's accounts hold: tenant, account, customer, invoice, wallet, currency, amount_minor."""
    return frame_of(
        connection,
        "select tenant_id::text as tenant, account, customer, invoice, wallet, currency::text as currency, "
        "sum(amount_minor)::bigint as amount_minor from billing.journal_posting where tenant_id = any(%s) group by 1, "
        "2, 3, 4, 5, 6 "
        "having sum(amount_minor) <> 0",
        [list(tenants)],
        JOURNAL_POSTINGS.part("tenant", "account", "customer", "invoice", "wallet", "currency", "amount_minor"),
    )


def unbalanced(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """Postings, summed by entry and currency, of entries that do not balance: tenant, entry_id, currency,
    amount_minor. The table's trigger refuses them, so there are none."""
    return frame_of(
        connection,
        "select tenant_id::text as tenant, entry_id, currency::text as currency, sum(amount_minor)::bigint as "
        "amount_minor "
        "from billing.journal_posting p where tenant_id = any(%s) group by tenant_id, entry_id, currency having "
        "sum(amount_minor) <> 0 "
        "or exists (select from billing.journal_posting o where o.tenant_id = p.tenant_id and o.entry_id = p.entry_id "
        "and o.currency <> p.currency)",
        [list(tenants)],
        JOURNAL_POSTINGS.part("tenant", "entry_id", "currency", "amount_minor"),
    )


def invoiced(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """tenant, customer, currency, amount_minor: totals of finalised invoices that stand, less what wallets paid of
    them."""
    return frame_of(
        connection,
        "select i.tenant_id::text as tenant, i.customer, i.currency::text as currency, "
        "(sum(i.total_minor) - coalesce(sum(c.paid), 0))::bigint as amount_minor from billing.invoice i "
        "left join lateral (select sum(amount_minor) as paid from billing.invoice_credit c where c.kind = 'wallet' "
        " and c.tenant_id = i.tenant_id and c.invoice_id = i.invoice_id) as c on true "
        "where i.tenant_id = any(%s) and i.status = 'finalised' and not exists ("
        " select from billing.invoice_void v where v.tenant_id = i.tenant_id and v.invoice_id = i.invoice_id) "
        "group by i.tenant_id, i.customer, i.currency",
        [list(tenants)],
        AMOUNTS_OWED,
    )
