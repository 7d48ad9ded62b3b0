"""Payment instruments in Postgres: tokens, what may be shown of them, and sealed numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import row_of, rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

    Connection = psycopg.Connection[Any]


def add(connection: Connection, instrument: Mapping[str, object]) -> None:
    """Write a new instrument: tenant, token, customer, kind, last_four, sealed."""
    connection.execute(
        "insert into vault.instrument (tenant_id, token, customer, kind, last_four, sealed) "
        "values (%(tenant)s, %(token)s, %(customer)s, %(kind)s, %(last_four)s, %(sealed)s)",
        instrument,
    )


def instruments(connection: Connection, tenant: str, customer: str | None) -> list[dict[str, Any]]:
    """token, customer, kind, last_four, created_at of a tenant's instruments, by customer; None: of all customers."""
    query = """
        select token, customer, kind, last_four, created_at from vault.instrument
         where tenant_id = %s and (%s::text is null or customer = %s) order by customer, created_at, token"""
    return rows_of(connection, query, [tenant, customer, customer])


def sealed(connection: Connection, tenant: str, token: str) -> dict[str, Any] | None:
    """customer, kind and the sealed number of an instrument; None: there is none."""
    query = "select customer, kind, sealed from vault.instrument where tenant_id = %s and token = %s"
    return row_of(connection, query, [tenant, token])


def remove(connection: Connection, tenant: str, token: str) -> str | None:
    """Remove an instrument; whose it was, None: there was none."""
    query = "delete from vault.instrument where tenant_id = %s and token = %s returning customer"
    found = row_of(connection, query, [tenant, token])
    return None if found is None else str(found["customer"])


def remove_all(connection: Connection, tenant: str, customer: str) -> dict[str, int]:
    """Remove a customer's instruments, and tokens of payment providers: table -> rows."""
    sealed_ones = "delete from vault.instrument where tenant_id = %s and customer = %s"
    tokens = "delete from billing.payment_instrument where tenant_id = %s and customer = %s"
    return {
        "vault.instrument": connection.execute(sealed_ones, [tenant, customer]).rowcount,
        "billing.payment_instrument": connection.execute(tokens, [tenant, customer]).rowcount,
    }


def sealed_of(connection: Connection, tenant: str) -> list[dict[str, Any]]:
    """token, customer, sealed of all instruments of a tenant, locked until the transaction ends."""
    query = "select token, customer, sealed from vault.instrument where tenant_id = %s order by token for update"
    return rows_of(connection, query, [tenant])


def seal_again(connection: Connection, tenant: str, values: list[tuple[str, bytes]]) -> None:
    """Write the sealed numbers of these (token, sealed)."""
    connection.execute(
        "update vault.instrument as i set sealed = n.sealed from unnest(%s::text[], %s::bytea[]) as n (token, sealed) "
        " where i.tenant_id = %s and i.token = n.token",
        [[token for token, _ in values], [value for _, value in values], tenant],
    )
