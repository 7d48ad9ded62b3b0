"""What a billing run replaces of what documents of invoices show beside them, stored for reads with ``known_at``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import psycopg

_SHOWN = {
    "tenant": ("tenant_id", ("name", "country", "tax_id", "address", "invoicing", "timezone")),
    "customer": ("customer", ("name", "country", "timezone", "metadata")),
    "subscription": ("subscription", ("plan", "plan_version", "has_overrides")),
    "credit_note": ("credit_note", ("number", "amount", "reason", "created_at")),
}
"""By kind, which is the table's name: the column that is the key, and those that documents show."""
_REMEMBERED = sql.SQL(
    "create temporary table {before} on commit drop as "
    "select tenant_id, {key} as key, {customer} as customer, {shown} from {table} where tenant_id = any(%s)"
)
_STORED = sql.SQL("""
    insert into billing.earlier_state (tenant_id, kind, key, customer, held_until, state)
    select tenant_id, {kind}, key, coalesce(o.customer, n.customer), greatest(%(at)s, last.held_until),
           case when o.held then jsonb_build_object({pairs}) end
      from (select true as held, * from {before}) as o
      full join (select true as holds, tenant_id, {key} as key, {customer} as customer, {shown} from {table}
                  where tenant_id = any(%(tenants)s)) as n using (tenant_id, key)
     cross join lateral (select max(e.held_until) as held_until from billing.earlier_state as e
                          where e.tenant_id = coalesce(o.tenant_id, n.tenant_id) and e.kind = {kind}
                            and e.key = coalesce(o.key, n.key)) as last
     where ({old}) is distinct from ({new})
       and (o.held or {kind} = 'credit_note' or last.held_until is not null)
        on conflict (tenant_id, kind, key, held_until) do nothing""")


def remember(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> None:
    """Note, until the transaction ends, what is shown of these tenants; their sequences are locked."""
    for kind in _SHOWN:
        connection.execute(_REMEMBERED.format(**_parts(kind)), [list(tenants)])


def store_replaced(connection: psycopg.Connection[Any], tenants: Sequence[str], at: datetime) -> None:
    """Store what was noted and is no longer so, as held until the instant ``at`` of the run.

    What is new is no state that was replaced, but of credit notes and of what had been gone: an invoice is older than
    a credit note for it, so before that there was none. A run whose instant is before that of an earlier one replaces
    what that one left.
    """
    for kind in _SHOWN:
        connection.execute(_STORED.format(**_parts(kind)), {"tenants": list(tenants), "at": at})


def erase(connection: psycopg.Connection[Any], tenant: str, customer: str) -> int:
    """Remove what is personal of a customer from what was stored: rows that changed."""
    return connection.execute(
        "update billing.earlier_state set state = state || jsonb_build_object('name', customer, 'metadata', null) "
        " where tenant_id = %s and customer = %s and kind = 'customer' and state is not null",
        [tenant, customer],
    ).rowcount


def _parts(kind: str) -> dict[str, sql.Composable]:
    key, shown = _SHOWN[kind]
    listed = sql.SQL(", ")
    return {
        "kind": sql.Literal(kind),
        "key": sql.Identifier(key),
        "customer": sql.SQL("null::text") if kind == "tenant" else sql.Identifier("customer"),
        "shown": listed.join(map(sql.Identifier, shown)),
        "old": listed.join(sql.Identifier("o", name) for name in shown),
        "new": listed.join(sql.Identifier("n", name) for name in shown),
        "pairs": listed.join(part for name in shown for part in (sql.Literal(name), sql.Identifier("o", name))),
        "table": sql.Identifier("billing", kind),
        "before": sql.Identifier(f"{kind}_before"),
    }
