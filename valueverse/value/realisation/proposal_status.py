"""Which verdicts a fee proposal may get, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime


def judge_verdict(verdict: str, verdicts: Collection[str], disputable_until: datetime, now: datetime) -> None:
    """Refuse a word that comes too late or twice.

    A proposal is disputed before its window ends and before it is accepted; a disputed one may still be accepted;
    a withdrawn one gets no verdict.

    Raises:
        RefusalError: ``already_said``, ``too_late``.
    """
    if "withdrawn" in verdicts:
        raise RefusalError("already_said", "the proposal was withdrawn", "proposal")
    if verdict in verdicts or (verdict == "disputed" and "accepted" in verdicts):
        raise RefusalError(
            "already_said", f"the proposal was {'accepted' if 'accepted' in verdicts else verdict}", "proposal"
        )
    if verdict == "disputed" and now >= disputable_until:
        until = f"{disputable_until:%Y-%m-%d %H:%M} UTC"
        raise RefusalError("too_late", f"the window to dispute it ended on {until}: ask for a credit note", "proposal")
