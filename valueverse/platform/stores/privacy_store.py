"""What Postgres holds about a customer, and the restrictions, erasures and evidence of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

from valueverse.platform.queries import row_of, rows_of, value_of
from valueverse.platform.stores.earlier_states import erase

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import date, datetime

    import psycopg

    Connection = psycopg.Connection[Any]

_RULES = {
    "customer": sql.SQL("t.customer = %(customer)s"),
    "invoice_id": sql.SQL(
        "t.invoice_id in (select i.invoice_id from billing.invoice as i "
        "where i.tenant_id = %(tenant)s and i.customer = %(customer)s)"
    ),
    "subscription": sql.SQL(
        "t.subscription in (select s.subscription from billing.subscription as s "
        "where s.tenant_id = %(tenant)s and s.customer = %(customer)s)"
    ),
    "entry_id": sql.SQL(
        "t.entry_id in (select p.entry_id from billing.journal_posting as p "
        "where p.tenant_id = %(tenant)s and p.customer = %(customer)s)"
    ),
}
"""By the column that a table has, the first of them: which rows are about a customer."""
_ROWS = sql.SQL(
    "select (to_jsonb(t) - 'retained' - 'sealed')::text as row from {} as t "
    "where t.tenant_id = %(tenant)s and {} order by 1"
)
_TABLES = """
    select n.nspname as schema, c.relname as name, array_agg(a.attname::text) as columns
      from pg_class as c
      join pg_namespace as n on n.oid = c.relnamespace
      join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     where n.nspname in ('billing', 'value', 'vault') and c.relkind in ('r', 'p') and not c.relispartition
     group by 1, 2
    having 'tenant_id' = any(array_agg(a.attname::text))
     order by 1, 2"""


def is_known(connection: Connection, tenant: str, customer: str) -> bool:
    """Whether a billing run has seen the customer."""
    query = "select true from billing.customer where tenant_id = %s and customer = %s"
    return bool(value_of(connection, query, [tenant, customer]))


def tables(connection: Connection) -> list[dict[str, Any]]:
    """schema, name, rule (None: no row of it is about one customer) of each table of tenants' data."""
    return [
        row | {"rule": next((rule for column, rule in _RULES.items() if column in row["columns"]), None)}
        for row in rows_of(connection, _TABLES)
    ]


def rows_about(connection: Connection, tenant: str, customer: str) -> dict[str, list[str]]:
    """Table -> its rows about a customer, each as JSON text, in an order of their own; sealed values left out."""
    found = {}
    for table in tables(connection):
        if table["rule"] is not None:
            query = _ROWS.format(sql.Identifier(table["schema"], table["name"]), table["rule"])
            rows = rows_of(connection, query, {"tenant": tenant, "customer": customer})
            found[f"{table['schema']}.{table['name']}"] = [row["row"] for row in rows]
    return found


def buyer(connection: Connection, tenant: str, customer: str) -> str | None:
    """Who is billed, as JSON text: name, email, country, metadata; None: unknown."""
    query = """
        select jsonb_build_object('name', name, 'email', email, 'country', country, 'metadata', metadata)::text
          from billing.customer where tenant_id = %s and customer = %s"""
    found: str | None = value_of(connection, query, [tenant, customer])
    return found


def last_issued(connection: Connection, tenant: str, customer: str) -> date | None:
    """The day on which the newest finalised invoice of a customer was issued."""
    query = "select max(issued_on) from billing.invoice where tenant_id = %s and customer = %s and status = 'finalised'"
    found: date | None = value_of(connection, query, [tenant, customer])
    return found


def restriction(connection: Connection, tenant: str, customer: str) -> dict[str, Any] | None:
    """reason and since of the customer's restriction; None: there is none. It stays so until the transaction ends."""
    _take_turn(connection, tenant, customer)
    query = "select reason, since from vault.restriction where tenant_id = %s and customer = %s"
    return row_of(connection, query, [tenant, customer])


def _take_turn(connection: Connection, tenant: str, customer: str) -> None:
    """Restrictions and erasures of one customer follow each other."""
    query = "select pg_advisory_xact_lock(hashtextextended(concat_ws('/', 'privacy', %s::text, %s::text), 0))"
    connection.execute(query, [tenant, customer])


def unfinished(connection: Connection, tenant: str, customer: str) -> datetime | None:
    """When an erasure began that was stopped before its end."""
    query = "select max(begun_at) from vault.erasure where tenant_id = %s and customer = %s and finished_at is null"
    found: datetime | None = value_of(connection, query, [tenant, customer])
    return found


def begin(
    connection: Connection, tenant: str, customer: str, at: datetime, retain_until: date | None, retained: bytes | None
) -> None:
    """Write that an erasure has begun, and what is retained."""
    connection.execute(
        "insert into vault.erasure (tenant_id, customer, begun_at, retain_until, retained) values (%s, %s, %s, %s, %s)",
        [tenant, customer, at, retain_until, retained],
    )


def retained(connection: Connection, tenant: str, customer: str) -> list[dict[str, Any]]:
    """begun_at, retain_until, retained (sealed) of the erasures of a customer that retain something."""
    query = """
        select begun_at, retain_until, retained from vault.erasure
         where tenant_id = %s and customer = %s and retained is not null order by begun_at"""
    return rows_of(connection, query, [tenant, customer])


def finish(connection: Connection, tenant: str, customer: str) -> None:
    """Write that the erasures of a customer that have begun are done."""
    connection.execute(
        "update vault.erasure set finished_at = now() where tenant_id = %s and customer = %s and finished_at is null",
        [tenant, customer],
    )


def newest_finished(connection: Connection) -> dict[tuple[str, str], datetime]:
    """Tenant and customer -> when the newest erasure began that is done."""
    query = """
        select tenant_id::text as tenant, customer, max(begun_at) as begun_at from vault.erasure
         where finished_at is not null group by tenant_id, customer"""
    return {(row["tenant"], row["customer"]): row["begun_at"] for row in rows_of(connection, query)}


def end_retention(connection: Connection, today: date) -> list[dict[str, Any]]:
    """Remove what is retained no longer than until yesterday: tenant, customer, retain_until of each."""
    query = """
        update vault.erasure set retained = null where retained is not null and retain_until < %s
        returning tenant_id::text as tenant, customer, retain_until"""
    return rows_of(connection, query, [today])


def record(connection: Connection, tenant: str, action: str, customer: str, evidence: str) -> None:
    """Write what was done; its hash goes into the audit log in the same transaction."""
    connection.execute(
        "insert into vault.privacy_action (tenant_id, action, customer, evidence) values (%s, %s, %s, %s)",
        [tenant, action, customer, evidence],
    )


def erase_customer(connection: Connection, tenant: str, customer: str) -> dict[str, int]:
    """Remove the personal fields of a customer from the warehouse and from its mart: table -> rows."""
    customers = connection.execute(
        "update billing.customer set name = customer, email = null, metadata = null "
        " where tenant_id = %s and customer = %s",
        [tenant, customer],
    )
    done = {"billing.customer": customers.rowcount, "billing.earlier_state": erase(connection, tenant, customer)}
    if value_of(connection, "select to_regclass('marts.dim_customer') is not null"):
        shown = connection.execute(
            "update marts.dim_customer set customer_name = customer_key, email = null, metadata = null "
            " where tenant_id = %s and customer_key = %s",
            [tenant, customer],
        )
        done["marts.dim_customer"] = shown.rowcount
    return done


ERASED_ANSWER = 410
"""Status of an answer that was erased; no write is answered with it."""


def erase_traces(
    connection: Connection,
    tenant: str,
    events: Collection[tuple[str, str]],
    files: Collection[str],
    texts: Collection[str],
) -> dict[str, int]:
    """Erase what quotes erased events (source, id) or personal texts: table -> rows.

    Args:
        connection: whose caller commits.
        tenant: whose.
        events: whose messages are removed from rejected events.
        files: names of files of which a refused line was erased: their examples are removed.
        texts: answers to writes that hold one of them are emptied. Their keys stay, so that a client that repeats the
            write does not bring back what it stated.
    """
    rejected = connection.execute(
        "update billing.rejected_event as r set message = 'erased' "
        "  from unnest(%s::text[], %s::text[]) as e (source, id) "
        " where r.tenant_id = %s and r.source = e.source and r.event_id = e.id",
        [[source for source, _ in events], [key for _, key in events], tenant],
    ).rowcount
    examples = connection.execute(
        "update billing.quarantine_summary set example = 'erased' where tenant_id = %s and file = any(%s)",
        [tenant, list(files)],
    ).rowcount
    answers = connection.execute(
        "update inbox.answer set status = %s, body = '' where tenant_id = %s and exists ("
        "select from unnest(%s::text[]) as t (text) where position(convert_to(t.text, 'UTF8') in body) > 0)",
        [ERASED_ANSWER, tenant, list(texts)],
    ).rowcount
    return {"billing.rejected_event": rejected, "billing.quarantine_summary": examples, "inbox.answer": answers}
