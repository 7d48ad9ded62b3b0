"""Wrapped data keys in Postgres."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import rows_of, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    Connection = psycopg.Connection[Any]


def newest_version(connection: Connection, tenant: str, subject: str) -> int:
    """The newest version that was ever made; 0: none."""
    found: int = value_of(
        connection,
        "select coalesce(max(version), 0) from vault.data_key where tenant_id = %s and subject = %s",
        [tenant, subject],
    )
    return found


def take_uses(connection: Connection, tenant: str, subject: str, uses: int, most: int) -> int | None:
    """Count that many values for the newest key and return its version; None: none is there that may seal as many.

    The row stays locked until the transaction ends, so that a key cannot be destroyed under a value that it seals.
    """
    found: int | None = value_of(
        connection,
        "update vault.data_key as k set uses = k.uses + %(uses)s "
        " where k.tenant_id = %(tenant)s and k.subject = %(subject)s and k.wrapped is not null "
        "   and k.uses + %(uses)s <= %(most)s and k.version = ("
        "       select max(version) from vault.data_key where tenant_id = %(tenant)s and subject = %(subject)s) "
        "returning k.version",
        {"tenant": tenant, "subject": subject, "uses": uses, "most": most},
    )
    return found


def add(connection: Connection, tenant: str, subject: str, version: int, wrapped: str) -> None:
    """Write a new key, unless another transaction was first."""
    connection.execute(
        "insert into vault.data_key (tenant_id, subject, version, wrapped) values (%s, %s, %s, %s) "
        "on conflict do nothing",
        [tenant, subject, version, wrapped],
    )


def keys(connection: Connection, wanted: Sequence[tuple[str, str, int]]) -> list[dict[str, Any]]:
    """tenant, subject, version, wrapped (None: destroyed) of these (tenant, subject, version)."""
    query = """
        select k.tenant_id::text as tenant, k.subject, k.version, k.wrapped
          from unnest(%s::text[], %s::text[], %s::integer[]) as w (tenant_id, subject, version)
          join vault.data_key as k on k.tenant_id = w.tenant_id and k.subject = w.subject and k.version = w.version"""
    return rows_of(connection, query, [[one[place] for one in wanted] for place in range(3)])


def live(connection: Connection, after: tuple[str, str, int], at_most: int) -> list[dict[str, Any]]:
    """tenant, subject, version, wrapped of keys that are not destroyed, in the order of their key, from after one on;
    locked until the transaction ends."""
    query = """
        select tenant_id::text as tenant, subject, version, wrapped from vault.data_key
         where wrapped is not null and (tenant_id::text, subject, version) > (%s, %s, %s)
         order by tenant_id::text, subject, version limit %s for update"""
    return rows_of(connection, query, [*after, at_most])


def wrap_again(connection: Connection, changed: Sequence[tuple[str, str, int, str]]) -> None:
    """Write the wrapped texts of these (tenant, subject, version, wrapped)."""
    connection.execute(
        "update vault.data_key as k set wrapped = w.wrapped "
        "  from unnest(%s::text[], %s::text[], %s::integer[], %s::text[]) as w (tenant_id, subject, version, wrapped) "
        " where k.tenant_id = w.tenant_id and k.subject = w.subject and k.version = w.version "
        "   and k.wrapped is not null",
        [[one[place] for one in changed] for place in range(4)],
    )


def subjects(connection: Connection, tenant: str) -> list[str]:
    """Whose newest key is not destroyed."""
    query = """
        select distinct on (subject) subject, wrapped from vault.data_key where tenant_id = %s
         order by subject, version desc"""
    return [row["subject"] for row in rows_of(connection, query, [tenant]) if row["wrapped"] is not None]


def destroy(connection: Connection, tenant: str, subject: str) -> int:
    """Destroy every version of a subject's key: how many there were. What they sealed is unreadable."""
    return connection.execute(
        "update vault.data_key set wrapped = null, destroyed_at = now() "
        " where tenant_id = %s and subject = %s and wrapped is not null",
        [tenant, subject],
    ).rowcount
