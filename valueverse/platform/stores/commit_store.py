"""Committed value models in Postgres: insert-only rows, one chain per tenant, written under a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import row_of, rows_of, values_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import psycopg


def add(
    connection: psycopg.Connection[Any],
    row: dict[str, Any],
    link: Callable[[str, int, str | None], str],
) -> bool:
    """Add a commit (tenant_id, commit_id, model, author, parent, document, committed_at) to its tenant's chain.

    Returns:
        False where the same commit exists already.
    """
    # The tenant's row is the lock: two commits at once take turns in the chain.
    connection.execute("select 1 from billing.tenant where tenant_id = %s for update", [row["tenant_id"]])
    if connection.execute(
        "select 1 from value.commit where tenant_id = %s and commit_id = %s", [row["tenant_id"], row["commit_id"]]
    ).fetchone():
        return False
    sequence, previous = _next_link(connection, "value.commit", row["tenant_id"])
    connection.execute(
        "insert into value.commit (tenant_id, commit_id, sequence, model, author, parent, document, previous_hash, "
        "chain_hash, committed_at) values (%(tenant_id)s, %(commit_id)s, %(sequence)s, %(model)s, %(author)s, "
        "%(parent)s, %(document)s, %(previous)s, %(chain)s, %(committed_at)s)",
        row | {"sequence": sequence, "previous": previous, "chain": link(row["commit_id"], sequence, previous)},
    )
    return True


def _next_link(connection: psycopg.Connection[Any], table: str, tenant: str) -> tuple[int, str | None]:
    """The sequence number that comes next in a tenant's chain, and the hash that it follows."""
    last = row_of(
        connection,
        f"select sequence, chain_hash from {table} where tenant_id = %s order by sequence desc limit 1",  # noqa: S608 - constants
        [tenant],
    )
    return (1, None) if last is None else (last["sequence"] + 1, last["chain_hash"])


def commits(connection: psycopg.Connection[Any], tenant: str) -> list[dict[str, Any]]:
    """commit, model, author, parent of a tenant's commits, oldest first."""
    return rows_of(
        connection,
        "select commit_id as commit, model, author, parent from value.commit where tenant_id = %s order by sequence",
        [tenant],
    )


def chain(connection: psycopg.Connection[Any], tenant: str) -> list[dict[str, Any]]:
    """commit, sequence, previous, chain, document, model, author, parent of a tenant, by sequence."""
    return rows_of(
        connection,
        "select commit_id as commit, sequence, previous_hash as previous, chain_hash as chain, document, model, "
        "author, "
        "parent from value.commit where tenant_id = %s order by sequence",
        [tenant],
    )


def add_event(
    connection: psycopg.Connection[Any],
    tenant: str,
    event: tuple[str, str, str],
    link: Callable[[str, int, str | None], str],
) -> None:
    """Add an event (commit_id, action, document) to its tenant's chain; the caller holds the tenant's row."""
    sequence, previous = _next_link(connection, "value.commit_event", tenant)
    connection.execute(
        "insert into value.commit_event (tenant_id, sequence, commit_id, action, document, previous_hash, chain_hash) "
        "values (%s, %s, %s, %s, %s, %s, %s)",
        [tenant, sequence, *event, previous, link(event[2], sequence, previous)],
    )


def events(connection: psycopg.Connection[Any], tenant: str) -> list[dict[str, Any]]:
    """sequence, commit, action, document, previous, chain of a tenant's commit log, by sequence."""
    return rows_of(
        connection,
        "select sequence, commit_id as commit, action, document, previous_hash as previous, chain_hash as chain"
        " from value.commit_event where tenant_id = %s order by sequence",
        [tenant],
    )


def history(connection: psycopg.Connection[Any], tenant: str) -> list[dict[str, Any]]:
    """commit, action (proposed, a side, an outcome), by, at, reason of a tenant, as the tables say."""
    return rows_of(
        connection,
        """
        select commit_id as commit, 'proposed' as action, author as by, committed_at as at, null as reason
          from value.commit where tenant_id = %(tenant)s
        union all
        select commit_id, side, approved_by, approved_at, null from value.approval where tenant_id = %(tenant)s
        union all
        select commit_id, outcome, closed_by, closed_at, reason from value.closing where tenant_id = %(tenant)s
        """,
        {"tenant": tenant},
    )


def named(connection: psycopg.Connection[Any], tenant: str, beginning: str, limit: int) -> list[str]:
    """Ids of a tenant's commits that begin so, oldest first."""
    return values_of(
        connection,
        "select commit_id from value.commit where tenant_id = %s and starts_with(commit_id, %s)"
        " order by sequence limit %s",
        [tenant, beginning, limit],
    )


def approvals(connection: psycopg.Connection[Any], tenant: str) -> list[dict[str, Any]]:
    """commit, side, by of a tenant's approvals, oldest first."""
    return rows_of(
        connection,
        "select commit_id as commit, side, approved_by as by from value.approval where tenant_id = %s "
        "order by approved_at, commit_id, side",
        [tenant],
    )


def approve(connection: psycopg.Connection[Any], tenant: str, commit: str, side: str, by: str, at: datetime) -> None:
    """Record one side's approval."""
    connection.execute(
        "insert into value.approval (tenant_id, commit_id, side, approved_by, approved_at) values (%s, %s, %s, %s, %s)",
        [tenant, commit, side, by, at],
    )
