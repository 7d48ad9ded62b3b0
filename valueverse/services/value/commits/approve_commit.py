"""Approving a commit on behalf of a side."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from valueverse.dates import following_month
from valueverse.errors import RefusalError
from valueverse.services.value.value_names import known_tenant, named_commit, person

if TYPE_CHECKING:
    import psycopg

    from valueverse.platform.settings import Settings
    from valueverse.value.realisation import Commitment


def approve(settings: Settings, tenant: str, commit: str, side: str, by: str) -> dict[str, Any]:
    """Approve a commit for one side.

    Raises:
        RefusalError: ``unknown_commit``, ``ambiguous_commit``, ``overlaps``, ``already_proposed``, or as
            ``commits.judge_approval``.
    """
    from valueverse.platform.stores import commit_store as store
    from valueverse.platform.warehouse import connect
    from valueverse.services.value.commits.commit_model import log
    from valueverse.value.committer import SUPERSEDED, Approval, CommitEvent, event_hash, judge_approval

    with connect(settings, "builder") as connection:
        known_tenant(connection, tenant, lock=True)
        commit = named_commit(connection, tenant, commit)
        proposed = next(row for row in store.commits(connection, tenant) if row["commit"] == commit)
        author, parent = proposed["author"], proposed["parent"]
        approvals = store.approvals(connection, tenant)
        given = [Approval(row["side"], row["by"]) for row in approvals if row["commit"] == commit]
        events = [CommitEvent(commit, side, person(by, "--by"), datetime.now(UTC))]
        judge_approval(author, given, Approval(side, events[0].by))
        if given:
            _judge_term(connection, tenant, commit, parent)
            if parent is not None:
                events.append(CommitEvent(parent, SUPERSEDED, events[0].by, events[0].at, successor=commit))
        store.approve(connection, tenant, commit, side, events[0].by, events[0].at)
        for event in events:
            store.add_event(connection, tenant, (event.commit, event.action, event.canonical()), event_hash)
        connection.commit()
    return next(row for row in log(settings, tenant) if row["commit"] == commit)


def _judge_term(connection: psycopg.Connection[Any], tenant: str, commit: str, parent: str | None) -> None:
    """Refuse a commit that would be active for months whose value another one measures, or has a fee proposed for."""
    from valueverse.platform.stores.value_store import agreed, document, lock_value
    from valueverse.value.realisation import Agreed, Commitment, conflicting_commit

    # No run proposes anything between the look and the approval.
    lock_value(connection)
    mine = Commitment.read(commit, document(connection, tenant, commit))
    others = [
        Agreed(Commitment.read(row["commit_id"], row["document"]), row["parent"], row["closed"])
        for row in agreed(connection, [tenant]).iter_rows(named=True)
    ]
    other = conflicting_commit(mine, parent, others)
    if other is not None:
        raise RefusalError(
            "overlaps",
            f"the commit {other.commit} of the same model and customer is active in some of these months: "
            "close it, or commit this one with --parent and --reason",
            "commit",
        )
    _judge_proposed(connection, tenant, mine)


def _judge_proposed(connection: psycopg.Connection[Any], tenant: str, mine: Commitment) -> None:
    """A month's value is proposed by one commit only: a quarter that its predecessor has proposed stays whole."""
    from valueverse.platform.stores.run_lookup import proposed_from

    if mine.start is None or mine.customer is None:
        return
    of = (mine.program.model, mine.customer)
    found = proposed_from(connection, tenant, of, mine.start.replace(day=1), mine.commit)
    if found is None:
        return
    first, last = found["first_day"], found["last_day"]
    after = following_month(last)
    if found["invoice"] is None:
        cure = f"withdraw that proposal (`valueverse value withdraw`), or commit this one with --start {after} or later"
    else:
        cure = f"invoice {found['invoice']} bills it: commit this one with --start {after} or later"
    raise RefusalError(
        "already_proposed",
        f"the commit {found['commit_id']} has a fee proposed for {first:%Y-%m} to {last:%Y-%m} "
        f"({found['proposal']}), and this one starts on {mine.start}: {cure}",
        "commit",
    )
