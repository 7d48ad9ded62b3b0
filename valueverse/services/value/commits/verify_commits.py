"""Verifying a tenant's commits and the log of what was done to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.services.value.value_names import known_tenant

if TYPE_CHECKING:
    from valueverse.platform.stores.tenant_records import TenantRecords
    from valueverse.value.committer import CommitEvent, Link


def verify(records: TenantRecords, head: str | None) -> dict[str, Any]:
    """Work a tenant's chains out again: of its commits, and of all that was done to them.

    Args:
        records: the tenant's.
        head: a head of either chain noted before, which must still be in it; None: none.

    Returns:
        ok, commits and deeds (how many, the latter in the commit log), head (of that log), problems:
        [{chain: commits or deeds, sequence, reason}].
    """
    from valueverse.platform.stores import commit_store as store
    from valueverse.value.committer import Link, StoredEvent, broken_events, chain_breaks

    known_tenant(records)
    links = [Link(**row) for row in store.chain(records)]
    logged = [StoredEvent(**row) for row in store.events(records)]
    done = _done(records, links)
    found = {"commits": chain_breaks(links), "deeds": broken_events(logged, done)}
    if head is not None and head not in {*(one.chain for one in links), *(one.chain for one in logged)}:
        found["deeds"].append((len(logged), "head_not_found"))
    problems = [
        {"chain": chain, "sequence": sequence, "reason": reason}
        for chain, rows in found.items()
        for sequence, reason in rows
    ]
    last = logged[-1].chain if logged else None
    counts = {"commits": len(links), "deeds": len(logged)}
    return {"ok": not problems, **counts, "head": last, "problems": problems}


def _done(records: TenantRecords, links: list[Link]) -> list[CommitEvent]:
    """What the tables say was done, and what follows from it."""
    from valueverse.platform.stores import commit_store as store
    from valueverse.value.committer import APPROVAL_SIDES, CommitEvent, supersessions

    events = [CommitEvent(**row) for row in store.history(records)]
    approvals = [one for one in events if one.action in APPROVAL_SIDES]
    return events + supersessions([(one.commit, one.parent) for one in links], approvals, APPROVAL_SIDES)
