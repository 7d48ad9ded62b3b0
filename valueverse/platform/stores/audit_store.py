"""The audit log in Postgres: what transactions submitted, and each tenant's entries in their order."""

from __future__ import annotations

from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from psycopg.rows import dict_row

from valueverse.platform.queries import rows_of, value_of, values_of
from valueverse.platform.warehouse import copy_frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import polars as pl
    import psycopg

    Connection = psycopg.Connection[Any]


def lock(connection: Connection) -> None:
    """Wait until nobody else gives entries their order; held until the transaction ends."""
    connection.execute("select pg_advisory_xact_lock(hashtextextended('valueverse.audit', 0))")


def submitted(connection: Connection, at_most: int) -> list[dict[str, Any]]:
    """tenant, submission, entry of what has no place in the log yet, by tenant and submission."""
    query = """
        select tenant_id as tenant, submission, entry from audit.submitted order by tenant_id, submission limit %s"""
    return rows_of(connection, query, [at_most])


def newest_waiting(connection: Connection) -> int | None:
    """The newest submission of all tenants that has no place in a log yet."""
    found: int | None = value_of(connection, "select max(submission) from audit.submitted")
    return found


def submit(connection: Connection, tenants: Sequence[str], action: str, about: str, digest: str) -> None:
    """Submit an entry of the installation's own (``system``) for each of these tenants; the caller commits."""
    connection.execute(
        "select audit.submit(tenant, %s, %s, %s, 'system') from unnest(%s::text[]) as tenant",
        [action, about, digest, list(tenants)],
    )


def newest(connection: Connection, tenants: Sequence[str]) -> list[dict[str, Any]]:
    """tenant, sequence, chain_hash of the last entry of each of these tenants that has one."""
    query = """
        select e.tenant_id as tenant, e.sequence, e.chain_hash
          from unnest(%s::text[]) as wanted (tenant_id)
          join lateral (
              select * from audit.entry where tenant_id = wanted.tenant_id order by sequence desc limit 1
          ) as e on true"""
    return rows_of(connection, query, [list(tenants)])


def append(
    connection: Connection, entries: pl.DataFrame, lengths: Mapping[str, int], taken: Sequence[tuple[str, int]]
) -> None:
    """Write entries (AUDIT_ENTRIES) and the nodes above them, and remove the submissions that they are.

    Args:
        connection: whose caller commits.
        entries: to write.
        lengths: of the log of each of their tenants before.
        taken: tenant and number of each submission.
    """
    copy_frame(connection, "audit.entry", entries.rename({"tenant": "tenant_id"}))
    asked = [list(lengths), list(lengths.values())]
    connection.execute("select audit.add_nodes(%s::text[], %s::bigint[])", asked)
    connection.execute(
        "delete from audit.submitted s using unnest(%s::text[], %s::bigint[]) as t (tenant_id, submission) "
        "where s.tenant_id = t.tenant_id and s.submission = t.submission",
        [[tenant for tenant, _ in taken], [submission for _, submission in taken]],
    )


def tenants(connection: Connection) -> list[str]:
    """Keys of the tenants that have entries, or checkpoints of entries that are gone."""
    return values_of(
        connection, "select tenant_id from audit.entry union select tenant_id from audit.checkpoint order by 1"
    )


def logs_of(connection: Connection, tenants: Sequence[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Tenant, and sequence, entry, chain_hash of its log in order; of each of these tenants that has entries.

    One statement for all, read a part at a time: one tenant's log is in memory.
    """
    query = """
        select tenant_id as tenant, sequence, entry, chain_hash from audit.entry
         where tenant_id = any(%s::text[]) order by tenant_id collate "C", sequence"""
    return _by_tenant(connection, "logs", query, tenants)


def trees_of(connection: Connection, tenants: Sequence[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Tenant, and level, place, hash of the nodes of its log by level and place; as ``logs_of``."""
    query = """
        select tenant_id as tenant, level, place, hash from audit.node
         where tenant_id = any(%s::text[]) order by tenant_id collate "C", level, place"""
    return _by_tenant(connection, "trees", query, tenants)


def _by_tenant(
    connection: Connection, name: str, query: str, tenants: Sequence[str]
) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    with connection.cursor(name, row_factory=dict_row) as cursor:
        cursor.itersize = 10_000
        cursor.execute(query, [list(tenants)])
        for tenant, rows in groupby(cursor, key=itemgetter("tenant")):
            yield tenant, list(rows)


def checkpoints_of(connection: Connection, tenants: Sequence[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Tenant, and size, note of the signed checkpoints that are stored beside its log by size; as ``logs_of``."""
    query = """
        select tenant_id as tenant, size, note from audit.checkpoint
         where tenant_id = any(%s::text[]) order by tenant_id collate "C", size"""
    return _by_tenant(connection, "checkpoints", query, tenants)


def add_checkpoints(connection: Connection, tenant: str, notes: Mapping[int, str]) -> None:
    """Write signed notes by their size, those that are not there yet; the caller commits."""
    connection.execute(
        "insert into audit.checkpoint (tenant_id, size, note) "
        "select %s, n.size, n.note from unnest(%s::bigint[], %s::text[]) as n (size, note) on conflict do nothing",
        [tenant, list(notes), list(notes.values())],
    )


def read_as_of_now(connection: Connection) -> None:
    """What this transaction reads, its first statement being the next one, is as of one instant."""
    connection.execute("set transaction isolation level repeatable read, read only")
