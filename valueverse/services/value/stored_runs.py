"""Runs of a commit as they are stored in Postgres, for the commands that explain them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.services.value.value_names import named_commit

if TYPE_CHECKING:
    from datetime import date, datetime

    from valueverse.platform.stores.tenant_records import TenantRecords
    from valueverse.value.realisation import CaseRun, Commitment


@dataclass(frozen=True)
class StoredRun:
    """A run with its commit.

    Attributes:
        commitment: the commit.
        run: the run.
        month: first day of the month that it is of.
        run_hash: its name.
        known_at: state of knowledge, RFC 3339.
        computed_at: when it was worked out.
    """

    commitment: Commitment
    run: CaseRun
    month: date
    run_hash: str
    known_at: str
    computed_at: datetime


def stored_runs(records: TenantRecords, commit: str, month: date | None, cases: list[str]) -> list[StoredRun]:
    """The newest run of each of these cases in a month (None: the last one measured).

    Raises:
        RefusalError: ``unknown_commit``, ``ambiguous_commit``, ``not_measured``.
    """
    from valueverse.platform.stores.value_store import newest_runs

    commitment, _ = frozen_commit(records, commit)
    found = {row["case_name"]: row for row in newest_runs(records, commitment.commit, month)}
    for case in cases:
        if case not in found:
            known = f"there are {', '.join(sorted(found))}" if found else "a month is run once it is over"
            of = f" of {month:%Y-%m}" if month else ""
            raise RefusalError("not_measured", f"the commit has no {case} run{of}: {known}", "--month")
    return [_stored_run(commitment, found[case]) for case in cases]


def stored_run(records: TenantRecords, run_hash: str) -> StoredRun:
    """The run of that hash.

    Raises:
        RefusalError: ``unknown_run``.
    """
    from valueverse.platform.stores.value_store import run_named

    found = run_named(records, run_hash)
    if found is None:
        raise RefusalError("unknown_run", f"the tenant {records.tenant!r} has no run {run_hash[:64]!r}", "--run")
    return _stored_run(frozen_commit(records, found["commit_id"])[0], found)


def whole_run(records: TenantRecords, run_hash: str) -> dict[str, Any]:
    """A run with what it used (inputs, metric rows, flags) and what came of it.

    Raises:
        RefusalError: ``unknown_run``.
    """
    from valueverse.dates import utc_text
    from valueverse.platform.stores.value_store import run_results

    one = stored_run(records, run_hash)
    return {
        "run_hash": one.run_hash,
        "commit": one.commitment.commit,
        "model": one.commitment.program.model,
        "case": one.run.case,
        "month": f"{one.month:%Y-%m}",
        "known_at": one.known_at,
        "computed_at": utc_text(one.computed_at),
        "content_hash": one.run.content_hash,
        "results": run_results(records, run_hash),
        "document": one.run.document,
    }


def frozen_commit(records: TenantRecords, commit: str) -> tuple[Commitment, str]:
    """A commit, by its id or the beginning of it, and the canonical JSON of what it froze.

    Raises:
        RefusalError: ``unknown_commit``, ``ambiguous_commit``.
    """
    from valueverse.platform.stores.commit_store import document
    from valueverse.value.realisation import Commitment

    found = named_commit(records, commit, "--commit")
    text = document(records, found)
    return Commitment.read(found, text), text


def _stored_run(commitment: Commitment, row: dict[str, Any]) -> StoredRun:
    from valueverse.dates import utc_text
    from valueverse.value.realisation import CaseRun

    run = CaseRun.read(commitment.program, row["document"], row["content_hash"])
    return StoredRun(commitment, run, row["month"], row["run_hash"], utc_text(row["known_at"]), row["computed_at"])
