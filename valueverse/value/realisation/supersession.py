"""Which agreed commit is measured when: up to where its successor begins, and never two of them for one month."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.value.realisation.case_runs import Commitment


@dataclass(frozen=True)
class Agreed:
    """A commit that both sides have approved.

    Attributes:
        commitment: the commit.
        parent: the one that it changes; None: a first one.
        closed: whether it is no longer measured.
    """

    commitment: Commitment
    parent: str | None
    closed: bool


def takeover_months(agreed: Sequence[Agreed]) -> dict[str, date]:
    """By commit, the first day of the month with which an agreed successor takes over.

    Args:
        agreed: of one tenant.
    """
    found: dict[str, date] = {}
    for one in agreed:
        if one.parent is not None:
            # A successor without a place in the calendar replaces all of what it changes.
            begins = (one.commitment.start or date.min).replace(day=1)
            found[one.parent] = min(found.get(one.parent, date.max), begins)
    return found


def conflicting_commit(mine: Commitment, parent: str | None, agreed: Sequence[Agreed]) -> Commitment | None:
    """A commit that measures some of the same months; what ``mine`` changes, and what is closed, makes way for it.

    Args:
        mine: the commit that is to be active.
        parent: the commit that it changes.
        agreed: the tenant's others.
    """
    ends = takeover_months(agreed)
    for one in agreed:
        other = one.commitment
        if not one.closed and other.commit != parent and mine.overlaps(other, ends.get(other.commit)):
            return other
    return None
