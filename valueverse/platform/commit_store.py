"""Committed value models in Postgres: insert-only rows, one chain per tenant, written under a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
        False where the same commit stands already.
    """
    # The tenant's row is the lock: two commits at once take turns in the chain.
    connection.execute("select 1 from billing.tenant where tenant_id = %s for update", [row["tenant_id"]])
    if connection.execute(
        "select 1 from value.commit where tenant_id = %s and commit_id = %s", [row["tenant_id"], row["commit_id"]]
    ).fetchone():
        return False
    last = connection.execute(
        "select sequence, chain_hash from value.commit where tenant_id = %s order by sequence desc limit 1",
        [row["tenant_id"]],
    ).fetchone() or (0, None)
    sequence = int(last[0]) + 1
    connection.execute(
        "insert into value.commit (tenant_id, commit_id, sequence, model, author, parent, document, previous_hash, "
        "chain_hash, committed_at) values (%(tenant_id)s, %(commit_id)s, %(sequence)s, %(model)s, %(author)s, "
        "%(parent)s, %(document)s, %(previous)s, %(chain)s, %(committed_at)s)",
        row | {"sequence": sequence, "previous": last[1], "chain": link(row["commit_id"], sequence, last[1])},
    )
    return True


def commits(connection: psycopg.Connection[Any], tenant: str) -> list[tuple[str, str, str, str | None, str]]:
    """commit_id, model, author, parent, document of a tenant's commits, oldest first."""
    return connection.execute(
        "select commit_id, model, author, parent, document from value.commit where tenant_id = %s order by sequence",
        [tenant],
    ).fetchall()


def chain(connection: psycopg.Connection[Any], tenant: str) -> list[tuple[Any, ...]]:
    """commit_id, sequence, previous_hash, chain_hash, document, model, author, parent of a tenant, by sequence."""
    return connection.execute(
        "select commit_id, sequence, previous_hash, chain_hash, document, model, author, parent from value.commit"
        " where tenant_id = %s order by sequence",
        [tenant],
    ).fetchall()


def approvals(connection: psycopg.Connection[Any], tenant: str) -> list[tuple[str, str, str]]:
    """commit_id, side, approved_by of a tenant's approvals."""
    return connection.execute(
        "select commit_id, side, approved_by from value.approval where tenant_id = %s order by approved_at", [tenant]
    ).fetchall()


def approve(connection: psycopg.Connection[Any], tenant: str, commit: str, side: str, by: str, at: datetime) -> None:
    """Record one side's approval."""
    connection.execute(
        "insert into value.approval (tenant_id, commit_id, side, approved_by, approved_at) values (%s, %s, %s, %s, %s)",
        [tenant, commit, side, by, at],
    )
