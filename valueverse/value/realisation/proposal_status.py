"""What may be said to a fee proposal, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime


def judge_verdict(verdict: str, said: Collection[str], disputable_until: datetime, now: datetime) -> None:
    """Refuse a word that comes too late or twice.

    A proposal is disputed before its window ends and before it is accepted; a disputed one may still be accepted;
    nothing is said to a withdrawn one.

    Raises:
        RefusalError: ``already_said``, ``too_late``.
    """
    if "withdrawn" in said:
        raise RefusalError("already_said", "the proposal was withdrawn", "proposal")
    if verdict in said or (verdict == "disputed" and "accepted" in said):
        raise RefusalError(
            "already_said", f"the proposal was {'accepted' if 'accepted' in said else verdict}", "proposal"
        )
    if verdict == "disputed" and now >= disputable_until:
        until = f"{disputable_until:%Y-%m-%d %H:%M} UTC"
        raise RefusalError("too_late", f"the window to dispute it ended on {until}: ask for a credit note", "proposal")
