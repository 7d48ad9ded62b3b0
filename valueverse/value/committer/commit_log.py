"""What was done to a tenant's commits, in one chain: proposed, approved by a side, superseded, closed.

An event is canonical JSON, linked to the one before it, so that an approval or a closing that is edited, taken out,
put in or dated back shows as an edited commit does.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

import rfc8785

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

PROPOSED, SUPERSEDED = "proposed", "superseded"


@dataclass(frozen=True)
class CommitEvent:
    """One thing done to a commit.

    Attributes:
        commit: its id.
        action: ``proposed``, the side that approved, ``superseded``, or the outcome it was closed with.
        by: who did it; ``superseded``: who gave the successor its last approval.
        at: when, with an offset.
        reason: of a closing.
        successor: the commit that takes over, if ``superseded``.
    """

    commit: str
    action: str
    by: str
    at: datetime
    reason: str | None = None
    successor: str | None = None

    def canonical(self) -> str:
        """Canonical JSON (RFC 8785); the instant in UTC, to the microsecond."""
        document: dict[str, Any] = {
            "commit": self.commit,
            "did": self.action,
            "by": self.by,
            "at": self.at.astimezone(UTC).isoformat(timespec="microseconds"),
            "reason": self.reason,
            "successor": self.successor,
        }
        return rfc8785.dumps(document).decode()


@dataclass(frozen=True)
class StoredEvent:
    """An event as it is stored.

    Attributes:
        sequence: its place in the chain, from 1.
        commit, action: the columns beside the document.
        document: canonical JSON.
        previous: chain hash of the one before; None: the first.
        chain: chain hash of its own.
    """

    sequence: int
    commit: str
    action: str
    document: str
    previous: str | None
    chain: str


def event_hash(document: str, sequence: int, previous: str | None) -> str:
    """The link of a tenant's chain of events after ``previous`` (None: the first)."""
    hashed = hashlib.sha256(document.encode()).hexdigest()
    link: dict[str, Any] = {"deed": hashed, "sequence": sequence, "previous_hash": previous}
    return hashlib.sha256(rfc8785.dumps(link)).hexdigest()


def broken_events(logged: Sequence[StoredEvent], done: Collection[CommitEvent]) -> list[tuple[int, str]]:
    """Broken events, as (sequence, reason); empty: the chain is whole and matches the tables.

    Args:
        logged: of one tenant, by ascending sequence.
        done: what commits, approvals and closings say was done, and what follows from them.
    """
    found: list[tuple[int, str]] = []
    known = {event.canonical() for event in done}
    previous: str | None = None
    for place, one in enumerate(logged, start=1):
        if one.sequence != place:
            found.append((place, "missing"))
            break
        if (one.previous, one.chain) != (previous, event_hash(one.document, place, previous)):
            found.append((place, "chain_broken"))
        elif _beside(one.document) != (one.commit, one.action):
            found.append((place, "columns_edited"))
        elif one.document not in known:
            found.append((place, "not_done"))
        previous = one.chain
    unlogged = known - {one.document for one in logged}
    return found + [(len(logged), "not_told")] * len(unlogged)


def _beside(document: str) -> tuple[str, str]:
    found = json.loads(document)
    return found["commit"], found["did"]


def supersessions(
    parents: Sequence[tuple[str, str | None]], approvals: Collection[CommitEvent], sides: Collection[str]
) -> list[CommitEvent]:
    """What an approved successor did to the commit that it changes.

    Args:
        parents: commits with their parents.
        approvals: of all of them.
        sides: both of which make a commit active.
    """
    given: dict[str, list[CommitEvent]] = {}
    for approval in approvals:
        given.setdefault(approval.commit, []).append(approval)
    found = []
    for commit, parent in parents:
        mine = given.get(commit, [])
        if parent is not None and {one.action for one in mine} == set(sides):
            last = max(mine, key=lambda one: (one.at, one.action))
            found.append(CommitEvent(parent, SUPERSEDED, last.by, last.at, successor=commit))
    return found
