"""Committed value models in Postgres: insert-only rows, one chain per tenant, written under a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import frame_of
from valueverse.schemas.value import AGREED_COMMITS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import polars as pl
    import psycopg

    from valueverse.platform.stores.tenant_records import TenantRecords

    Link = Callable[[str, int, str | None], str]


def is_known(records: TenantRecords, *, lock: bool) -> bool:
    """Whether there is the tenant; ``lock``: nobody else writes to its commits until the transaction ends."""
    return bool(records.value("tenant_known", lock))


def add(records: TenantRecords, row: dict[str, Any], link: Link) -> bool:
    """Add a commit (commit, model, author, parent, document, committed_at) to the tenant's chain, which is locked.

    Returns:
        False where the same commit exists already.
    """
    if named(records, row["commit"]):
        return False
    sequence, previous = _next_link(records, "commits")
    own = [row[name] for name in ("commit", "model", "author", "parent", "document")]
    chain = link(row["commit"], sequence, previous)
    records.rows("add_commit", sequence, *own, previous, chain, row["committed_at"])
    return True


def _next_link(records: TenantRecords, chain: str) -> tuple[int, str | None]:
    """The sequence number that comes next in a chain of the tenant's, and the hash that it follows."""
    ends = {row["chain_of"]: row for row in records.rows("chain_ends")}
    last = ends.get(chain)
    return (1, None) if last is None else (last["sequence"] + 1, last["chain"])


def commits(records: TenantRecords) -> list[dict[str, Any]]:
    """commit, model, author, parent of the tenant's commits, oldest first."""
    names = ("commit", "model", "author", "parent")
    return [{name: row[name] for name in names} for row in records.rows("commits", "", False)]


def chain(records: TenantRecords) -> list[dict[str, Any]]:
    """commit, sequence, previous, chain, document, model, author, parent of the tenant's commits, by sequence."""
    rows = records.rows("commits", "", True)
    return [{name: value for name, value in row.items() if name != "committed_at"} for row in rows]


def named(records: TenantRecords, beginning: str) -> list[str]:
    """Ids of the tenant's commits that begin so, oldest first."""
    return [row["commit"] for row in records.rows("commits", beginning, False)]


def document(records: TenantRecords, commit: str) -> str:
    """A commit's canonical JSON.

    Raises:
        KeyError: there is no such commit.
    """
    for row in records.rows("commits", commit, True):
        return str(row["document"])
    raise KeyError(commit)


def history(records: TenantRecords, commit: str | None = None) -> list[dict[str, Any]]:
    """Who did what and when, oldest first, as the tables say: commit, action (proposed, a side, an outcome), by, at,
    reason; of one commit, or of all."""
    return records.rows("commit_history", commit)


def add_event(records: TenantRecords, event: tuple[str, str, str], link: Link) -> None:
    """Add an event (commit, action, document) to the tenant's chain of events, which is locked."""
    sequence, previous = _next_link(records, "events")
    own = (*event, previous, link(event[2], sequence, previous))
    records.rows("add_commit_event", sequence, *own, records.actor, records.request)


def events(records: TenantRecords) -> list[dict[str, Any]]:
    """sequence, commit, action, document, previous, chain of the tenant's commit log, by sequence."""
    return records.rows("commit_events")


def approve(records: TenantRecords, commit: str, side: str, by: str, at: datetime) -> None:
    """Record one side's approval."""
    records.rows("add_approval", commit, side, by, at)


def close(records: TenantRecords, commit: str, outcome: str, by: str, reason: str, at: datetime) -> None:
    """Record how and why a commit is closed."""
    records.rows("add_closing", commit, outcome, by, reason, at)


def agreed(records: TenantRecords) -> pl.DataFrame:
    """AGREED_COMMITS of the tenant, oldest first."""
    return records.frame("agreed_commits", AGREED_COMMITS)


def agreed_of(connection: psycopg.Connection[Any], tenants: Sequence[str]) -> pl.DataFrame:
    """AGREED_COMMITS of these tenants: commits that both sides have approved, replaced and closed ones too, oldest
    first."""
    return frame_of(connection, "select * from value.agreed_of(%s)", [list(tenants)], AGREED_COMMITS)
