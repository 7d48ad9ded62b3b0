"""Committer: what two parties agree on, frozen under the hash of its content. Nothing is ever edited."""

from valueverse.value.committer.baseline import agreed_start, baseline_of
from valueverse.value.committer.chain import Link, chain_breaks
from valueverse.value.committer.commit_log import (
    PROPOSED,
    SUPERSEDED,
    CommitEvent,
    StoredEvent,
    broken_events,
    event_hash,
    supersessions,
)
from valueverse.value.committer.commits import (
    APPROVAL_SIDES,
    FEE_OUTCOMES,
    Approval,
    Frozen,
    chain_hash,
    commit_id,
    commit_states,
    judge_approval,
)

__all__ = [
    "APPROVAL_SIDES",
    "FEE_OUTCOMES",
    "PROPOSED",
    "SUPERSEDED",
    "Approval",
    "CommitEvent",
    "Frozen",
    "Link",
    "StoredEvent",
    "agreed_start",
    "baseline_of",
    "broken_events",
    "chain_breaks",
    "chain_hash",
    "commit_id",
    "commit_states",
    "event_hash",
    "judge_approval",
    "supersessions",
]
