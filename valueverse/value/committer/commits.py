"""A commit: a model with its bindings, baseline and watermark, under the SHA-256 of its canonical JSON.

proposed -> approved by vendor and by customer -> active -> superseded by an active child, or closed (confirmed, written
off). The author does not approve, and one person does not approve for both sides.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import rfc8785

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

APPROVAL_SIDES = ("vendor", "customer")
RULES_VERSION = "1"
"""Version of the rules by which a committed model is run; it is in every commit."""


@dataclass(frozen=True)
class Frozen:
    """What a commit freezes.

    Attributes:
        model: the canonical document (``architect.document.canonical``).
        scenario: the one agreed on.
        baseline: values of frozen inputs, by name.
        watermark: newest knowledge behind the baseline (RFC 3339), or None where nothing is measured.
        seed: of the draws.
        author: who proposes it.
        customer: whose metrics it is measured by; None: those of the whole tenant.
        start: first day of period 1 (YYYY-MM-DD); None: the model's numbers have no calendar.
        expected: what a measured input is taken to be until it is measured, by name.
        snapshot: the metrics behind both, as ``baseline.Baseline`` has them.
        parent: the commit that this one changes, with the reason.
    """

    model: Mapping[str, Any]
    scenario: str
    baseline: Mapping[str, float]
    watermark: str | None
    seed: int
    author: str
    parent: str | None = None
    reason: str | None = None
    customer: str | None = None
    start: str | None = None
    expected: Mapping[str, float] = field(default_factory=dict)
    snapshot: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)

    def canonical(self) -> str:
        """Canonical JSON (RFC 8785)."""
        if self.parent is not None and not self.reason:
            raise RefusalError("missing_reason", "a change of a commit says why: give a reason", "--reason")
        document: dict[str, Any] = {
            "schema": "valueverse.commit/v1",
            "model": dict(self.model),
            "scenario": self.scenario,
            "customer": self.customer,
            "start": self.start,
            "baseline": dict(self.baseline),
            "expected": dict(self.expected),
            "snapshot": {
                name: {period: list(one) for period, one in rows.items()} for name, rows in self.snapshot.items()
            },
            "watermark": self.watermark,
            "seed": self.seed,
            "rules_version": RULES_VERSION,
            "author": self.author,
            "parent": self.parent,
            "reason": self.reason,
        }
        return rfc8785.dumps(document).decode()


def commit_id(canonical: str) -> str:
    """The hex SHA-256 by which a commit is known."""
    return hashlib.sha256(canonical.encode()).hexdigest()


def chain_hash(commit: str, sequence: int, previous: str | None) -> str:
    """The link of a tenant's chain after ``previous`` (None: the first)."""
    link: dict[str, Any] = {"commit": commit, "sequence": sequence, "previous_hash": previous}
    return hashlib.sha256(rfc8785.dumps(link)).hexdigest()


@dataclass(frozen=True)
class Approval:
    """One side's yes."""

    side: str
    by: str


def judge_approval(author: str, given: Sequence[Approval], new: Approval) -> None:
    """Refuse an approval that is none.

    Raises:
        RefusalError: ``unknown_side``, ``author_cannot_approve``, ``already_approved``, ``one_person_both_sides``.
    """
    if new.side not in APPROVAL_SIDES:
        raise RefusalError("unknown_side", f"{new.side[:20]!r} is neither vendor nor customer", "side")
    if new.by == author:
        raise RefusalError("author_cannot_approve", f"{author!r} wrote this commit: somebody else approves it", "by")
    if any(one.side == new.side for one in given):
        raise RefusalError("already_approved", f"the {new.side} has approved it", "side")
    if any(one.by == new.by for one in given):
        raise RefusalError("one_person_both_sides", f"{new.by!r} has approved it for the other side", "by")


FEE_OUTCOMES = ("confirmed", "written_off")
"""How a commit may be closed."""


def commit_states(
    commits: Sequence[tuple[str, str | None]],
    approvals: Mapping[str, Sequence[Approval]],
    closed: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """State of each commit (id, parent): proposed, approved_by_<side>, active, superseded, confirmed or written_off.

    Args:
        commits: oldest first.
        approvals: by commit.
        closed: outcome (OUTCOMES) by commit.
    """
    found = {}
    for one, _ in commits:
        sides = {approval.side for approval in approvals.get(one, ())}
        found[one] = "active" if sides == set(APPROVAL_SIDES) else f"approved_by_{sides.pop()}" if sides else "proposed"
    for one, parent in commits:
        if parent in found and found[one] in {"active", "superseded"} and found[parent] == "active":
            found[parent] = "superseded"
    return found | dict(closed or {})
