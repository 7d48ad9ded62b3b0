"""Runs of a commit as they are stored in Postgres, for the commands that explain them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.services.value.value_names import named_commit

if TYPE_CHECKING:
    from datetime import date, datetime

    import psycopg

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


def stored_runs(
    connection: psycopg.Connection[Any], tenant: str, commit: str, month: date | None, cases: list[str]
) -> list[StoredRun]:
    """The newest run of each of these cases in a month (None: the last one measured).

    Raises:
        RefusalError: ``unknown_commit``, ``ambiguous_commit``, ``not_measured``.
    """
    from valueverse.platform.stores.value_store import newest_runs

    commitment, _ = frozen_commit(connection, tenant, commit)
    found = {row["case_name"]: row for row in newest_runs(connection, tenant, commitment.commit, month)}
    for case in cases:
        if case not in found:
            known = f"there are {', '.join(sorted(found))}" if found else "a month is run once it is over"
            of = f" of {month:%Y-%m}" if month else ""
            raise RefusalError("not_measured", f"the commit has no {case} run{of}: {known}", "--month")
    return [_stored_run(commitment, found[case]) for case in cases]


def stored_run(connection: psycopg.Connection[Any], tenant: str, run_hash: str) -> StoredRun:
    """The run of that hash.

    Raises:
        RefusalError: ``unknown_run``.
    """
    from valueverse.platform.stores.run_lookup import run_named

    found = run_named(connection, tenant, run_hash)
    if found is None:
        raise RefusalError("unknown_run", f"the tenant {tenant!r} has no run {run_hash[:64]!r}", "--run")
    return _stored_run(frozen_commit(connection, tenant, found["commit_id"])[0], found)


def frozen_commit(connection: psycopg.Connection[Any], tenant: str, commit: str) -> tuple[Commitment, str]:
    """A commit, by its id or the beginning of it, and the canonical JSON of what it froze.

    Raises:
        RefusalError: ``unknown_commit``, ``ambiguous_commit``.
    """
    from valueverse.platform.stores.value_store import document
    from valueverse.value.realisation import Commitment

    found = named_commit(connection, tenant, commit, "--commit")
    text = document(connection, tenant, found)
    return Commitment.read(found, text), text


def _stored_run(commitment: Commitment, row: dict[str, Any]) -> StoredRun:
    from valueverse.value.realisation import CaseRun

    run = CaseRun.read(commitment.program, row["document"], row["content_hash"])
    known_at = row["known_at"].astimezone(UTC).isoformat()
    return StoredRun(commitment, run, row["month"], row["run_hash"], known_at, row["computed_at"])
