"""Approving a commit on behalf of a side."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from valueverse.dates import following_month
from valueverse.errors import RefusalError
from valueverse.services.value.value_names import known_tenant, named_commit, person

if TYPE_CHECKING:
    from valueverse.platform.stores.tenant_records import TenantRecords
    from valueverse.value.realisation import Commitment


def approve(records: TenantRecords, commit: str, side: str, by: str) -> dict[str, Any]:
    """Approve a commit for one side; its row of ``commit_model.log``.

    Raises:
        RefusalError: ``unknown_commit``, ``ambiguous_commit``, ``overlaps``, ``already_proposed``, or as
            ``commits.judge_approval``.
    """
    from valueverse.platform.stores import commit_store as store
    from valueverse.services.value.commits.commit_model import approvals_of, logged
    from valueverse.value.committer import SUPERSEDED, Approval, CommitEvent, event_hash, judge_approval

    known_tenant(records, lock=True)
    commit = named_commit(records, commit)
    proposed = next(row for row in store.commits(records) if row["commit"] == commit)
    author, parent = proposed["author"], proposed["parent"]
    given = approvals_of(store.history(records, commit)).get(commit, [])
    events = [CommitEvent(commit, side, person(by, "--by"), datetime.now(UTC))]
    judge_approval(author, given, Approval(side, events[0].by))
    if given:
        _judge_term(records, commit, parent)
        if parent is not None:
            events.append(CommitEvent(parent, SUPERSEDED, events[0].by, events[0].at, successor=commit))
    store.approve(records, commit, side, events[0].by, events[0].at)
    for event in events:
        store.add_event(records, (event.commit, event.action, event.canonical()), event_hash)
    return logged(records, commit)


def _judge_term(records: TenantRecords, commit: str, parent: str | None) -> None:
    """Refuse a commit that would be active for months whose value another one measures, or has a fee proposed for."""
    from valueverse.platform.stores.commit_store import agreed, document
    from valueverse.platform.stores.value_store import lock_value
    from valueverse.value.realisation import Agreed, Commitment, conflicting_commit

    # No run proposes anything between the look and the approval.
    lock_value(records)
    mine = Commitment.read(commit, document(records, commit))
    others = [
        Agreed(Commitment.read(row["commit_id"], row["document"]), row["parent"], row["closed"])
        for row in agreed(records).iter_rows(named=True)
    ]
    other = conflicting_commit(mine, parent, others)
    if other is not None:
        raise RefusalError(
            "overlaps",
            f"the commit {other.commit} of the same model and customer is active in some of these months: "
            "close it, or commit this one as a change of it, with that parent and a reason",
            "commit",
        )
    _judge_proposed(records, mine)


def _judge_proposed(records: TenantRecords, mine: Commitment) -> None:
    """A month's value is proposed by one commit only: a quarter that its predecessor has proposed stays whole."""
    from valueverse.platform.stores.proposal_store import proposed_from

    if mine.start is None or mine.customer is None:
        return
    of = (mine.customer, mine.program.model)
    found = proposed_from(records, of, mine.start.replace(day=1), mine.commit)
    if found is None:
        return
    first, last = found["first_day"], found["last_day"]
    after = following_month(last)
    if found["invoice"] is None:
        cure = f"withdraw that proposal, or commit this one with a start of {after} or later"
    else:
        cure = f"invoice {found['invoice']} bills it: commit this one with a start of {after} or later"
    raise RefusalError(
        "already_proposed",
        f"the commit {found['commit_id']} has a fee proposed for {first:%Y-%m} to {last:%Y-%m} "
        f"({found['proposal']}), and this one starts on {mine.start}: {cure}",
        "commit",
    )
