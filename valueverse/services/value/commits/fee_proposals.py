"""Fee proposals of committed models: listing, accepting, disputing and withdrawing them, and closing a commit."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.services.value.value_names import known_tenant, named_commit, person

if TYPE_CHECKING:
    from valueverse.platform.stores.tenant_records import TenantRecords


_PAST = {"accept": "accepted", "dispute": "disputed", "withdraw": "withdrawn"}


def listed(records: TenantRecords, now: datetime) -> list[dict[str, Any]]:
    """A tenant's proposals, oldest first, each with its state: open, disputed, approved, withdrawn.

    Raises:
        RefusalError: ``unknown_tenant``.
    """
    from valueverse.platform.stores import proposal_store

    known_tenant(records)
    return [_shown(row, now) for row in proposal_store.proposals(records)]


def proposed(records: TenantRecords, proposal: str, now: datetime) -> dict[str, Any]:
    """A proposal, as ``listed`` gives it.

    Raises:
        RefusalError: ``unknown_proposal``.
    """
    return _shown(_found(records, proposal), now)


def _found(records: TenantRecords, proposal: str) -> dict[str, Any]:
    from valueverse.platform.stores import proposal_store

    for row in proposal_store.proposals(records):
        if row["proposal"] == proposal:
            return row
    message = (
        f"the tenant {records.tenant!r} has no proposal {proposal[:120]!r}; `valueverse value proposals` lists them"
    )
    raise RefusalError("unknown_proposal", message, "proposal")


def state_of(word: str | None, disputable_until: datetime, now: datetime) -> str:
    """A proposal's state by the newest word on it: open, disputed, approved, withdrawn."""
    waited = "approved" if disputable_until <= now else "open"
    return {"accepted": "approved", "disputed": "disputed", "withdrawn": "withdrawn"}.get(word or "", waited)


def _shown(row: dict[str, Any], now: datetime) -> dict[str, Any]:
    state = state_of(row.pop("verdict"), row["disputable_until"], now)
    at = row.pop("said_at")
    shown = row | {"state": state, "said_at": at}
    return {name: _text(value) for name, value in shown.items()}


def _text(value: Any) -> Any:
    from valueverse.dates import utc_text

    if isinstance(value, datetime):
        return utc_text(value)
    return value.isoformat() if isinstance(value, date) else value


def answer(records: TenantRecords, proposal: str, verdict: str, given: dict[str, str | None]) -> dict[str, Any]:
    """Accept, dispute or withdraw a proposal.

    Args:
        records: the tenant's.
        proposal: its name.
        verdict: accepted, disputed or withdrawn.
        given: ``by``, and for all but accepted ``reason``.

    Raises:
        RefusalError: ``unknown_proposal``; ``too_late``: its dispute window is over; ``already_said``; ``billed``: an
            invoice bills it already; ``missing_name``, ``missing_reason``, ``payment_instrument``.
    """
    from valueverse.platform.stores import proposal_store, value_store
    from valueverse.value.realisation import judge_verdict

    now, by, reason = datetime.now(UTC), person(given["by"] or "", "--by"), given["reason"]
    if verdict != "accepted":
        _judge_reason(reason)
    value_store.lock_value(records)
    found = _found(records, proposal)
    judge_verdict(verdict, proposal_store.verdicts(records, proposal), found["disputable_until"], now)
    if verdict == "withdrawn" and found["invoice"] is not None:
        raise RefusalError("billed", f"an invoice bills {proposal!r}: reverse it with a credit note", "proposal")
    proposal_store.add_verdict(records, proposal, verdict, by, reason, now)
    return proposed(records, proposal, now)


def _judge_reason(reason: str | None) -> None:
    from valueverse.events import refuse_payment_number

    if not (reason or "").strip():
        raise RefusalError("missing_reason", "say why: the reason is empty", "--reason")
    refuse_payment_number(reason or "", "--reason")


def close(records: TenantRecords, commit: str, outcome: str, by: str, reason: str) -> dict[str, Any]:
    """Close an active commit: it is no longer measured.

    Raises:
        RefusalError: ``unknown_commit``, ``ambiguous_commit``, ``not_active``, ``unknown_outcome``, ``missing_reason``,
            ``payment_instrument``.
    """
    from valueverse.platform.stores import commit_store
    from valueverse.services.value.commits.commit_model import logged
    from valueverse.value.committer import FEE_OUTCOMES, CommitEvent, event_hash

    if outcome not in FEE_OUTCOMES:
        raise RefusalError("unknown_outcome", f"{outcome[:40]!r} is neither {' nor '.join(FEE_OUTCOMES)}", "--as")
    _judge_reason(reason)
    known_tenant(records, lock=True)
    commit = named_commit(records, commit)
    found = logged(records, commit)
    if found["state"] != "active":
        raise RefusalError("not_active", f"the commit is {found['state']}: only an active one is closed", "commit")
    event = CommitEvent(commit, outcome, person(by, "--by"), datetime.now(UTC), reason)
    commit_store.close(records, commit, outcome, event.by, reason, event.at)
    commit_store.add_event(records, (event.commit, event.action, event.canonical()), event_hash)
    return found | {"state": outcome}
