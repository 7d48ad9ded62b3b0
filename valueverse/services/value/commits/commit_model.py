"""Freezing a model for two parties to agree on, and the states of a tenant's commits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.services.value.value_names import known_customer, known_tenant, named_commit, person

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

    from valueverse.platform.stores.tenant_records import TenantRecords
    from valueverse.value.architect import Program
    from valueverse.value.architect.document import Model
    from valueverse.value.committer import Approval, Frozen


def commit(
    records: TenantRecords, text: str, options: dict[str, Any], data: pl.DataFrame | None = None
) -> dict[str, Any]:
    """Freeze a model; the same content gives the same commit.

    Args:
        records: the tenant's.
        text: the model.
        options: scenario, seed, author, customer, start, parent, reason.
        data: MODEL_METRICS behind the baseline; None: what the platform has measured of the customer.

    Raises:
        RefusalError: ``unknown_tenant``, ``unknown_scenario``, ``unknown_customer``, ``unknown_commit`` and
            ``ambiguous_commit`` (the parent), ``other_customer``, ``missing_start``, ``bad_start``, ``bad_seed``,
            ``missing_reason``, ``missing_name``, ``bad_name``, ``missing_metric``,
            ``payment_instrument``.
    """
    from valueverse.events import refuse_payment_number
    from valueverse.platform.stores import commit_store as store
    from valueverse.value.architect.compiler import compile_model
    from valueverse.value.architect.document import parse_model
    from valueverse.value.committer import PROPOSED, CommitEvent, chain_hash, commit_id, event_hash

    refuse_payment_number(text, "model")
    model = parse_model(text)
    program = compile_model(model)
    options = _judged(program, options)
    known_tenant(records, lock=True)
    if options["parent"] is not None:
        options["parent"] = _changed(records, options["parent"], options["customer"])
    if options["customer"] is not None:
        known_customer(records, options["customer"])
    frozen = _frozen(model, program, options, _measured(records, program, options["customer"], data))
    document = frozen.canonical()
    found = commit_id(document)
    event = CommitEvent(found, PROPOSED, frozen.author, datetime.now(UTC))
    row = {"commit": found, "model": program.model, "author": event.by, "parent": frozen.parent, "document": document}
    added = store.add(records, row | {"committed_at": event.at}, chain_hash)
    if added:
        store.add_event(records, (event.commit, event.action, event.canonical()), event_hash)
    state = "proposed" if added else logged(records, found)["state"]
    answer = {"commit": found, "model": program.model, "state": state, "new": added}
    fixed = {"baseline": dict(frozen.baseline), "expected": dict(frozen.expected)}
    return answer | {"start": frozen.start or program.axis.start} | fixed


def _judged(program: Program, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a commit, as they are frozen."""
    from valueverse.events import refuse_payment_number
    from valueverse.value.committer import agreed_start
    from valueverse.value.executor import RunRequest, check_request

    scenario, known = options["scenario"], {one.name for one in program.scenarios}
    if scenario not in known:
        raise RefusalError.unknown("unknown_scenario", f"no scenario {scenario[:60]!r}", scenario, known, "--scenario")
    check_request(program, RunRequest(seed=options["seed"]))
    refuse_payment_number(options.get("reason") or "", "--reason")
    return options | {"author": person(options["author"], "--author"), "start": agreed_start(program, options["start"])}


def _frozen(model: Model, program: Program, options: dict[str, Any], measured: _Measured) -> Frozen:
    from valueverse.value.architect.document import canonical_tree
    from valueverse.value.committer import Frozen, baseline_of

    base = baseline_of(program, measured.values, options["scenario"], options["start"])
    fixed: dict[str, Any] = {"baseline": base.values, "expected": base.expected, "snapshot": base.snapshot}
    return Frozen(canonical_tree(model), watermark=measured.watermark, **fixed, **options)


def _changed(records: TenantRecords, named: str, customer: str | None) -> str:
    """The commit that another one changes: for the same customer, else it would end what was agreed with somebody."""
    from valueverse.services.value.stored_runs import frozen_commit

    parent = named_commit(records, named, "--parent")
    other = frozen_commit(records, parent)[0].customer
    if other != customer:
        whose = "the whole tenant" if other is None else f"the customer {other!r}"
        message = f"the commit {parent} is one of {whose}: a change keeps its customer"
        raise RefusalError("other_customer", message, "--customer")
    return parent


@dataclass(frozen=True)
class _Measured:
    """Metrics (metric, customer, period, value) and the newest knowledge behind them."""

    values: pl.DataFrame | None
    watermark: str | None


def _measured(records: TenantRecords, program: Program, customer: str | None, given: pl.DataFrame | None) -> _Measured:
    from valueverse.platform.stores import value_store
    from valueverse.value.executor import read_metrics

    if given is not None:
        return _Measured(given, None if given.is_empty() else str(given["period"].max()))
    rows = value_store.metrics(records, customer, program.currency)
    known = value_store.known_until(records)
    if rows.is_empty() or known is None:
        return _Measured(None, None)
    return _Measured(read_metrics(rows), known.astimezone(UTC).isoformat())


def log(records: TenantRecords) -> list[dict[str, Any]]:
    """The tenant's commits with their states, oldest first: commit, model, author, parent, state, approvals.

    Raises:
        RefusalError: ``unknown_tenant``.
    """
    from valueverse.platform.stores import commit_store as store
    from valueverse.value.committer import FEE_OUTCOMES, commit_states

    known_tenant(records)
    rows, history = store.commits(records), store.history(records)
    given = approvals_of(history)
    closed = {row["commit"]: row["action"] for row in history if row["action"] in FEE_OUTCOMES}
    known = commit_states([(row["commit"], row["parent"]) for row in rows], given, closed)
    return [
        row
        | {
            "state": known[row["commit"]],
            "approvals": {approval.side: approval.by for approval in given.get(row["commit"], ())},
        }
        for row in rows
    ]


def whole(records: TenantRecords, commit: str) -> dict[str, Any]:
    """A commit, by its id or the beginning of it: its row of ``log``, history (who did what and when, oldest first) and
    document (canonical JSON).

    Raises:
        RefusalError: ``unknown_commit``, ``ambiguous_commit``.
    """
    from valueverse.dates import utc_text
    from valueverse.platform.stores import commit_store as store

    found = named_commit(records, commit)
    history = [row | {"at": utc_text(row["at"])} for row in store.history(records, found)]
    return logged(records, found) | {"history": history, "document": store.document(records, found)}


def logged(records: TenantRecords, commit: str) -> dict[str, Any]:
    """The row of ``log`` of one commit, by its whole id."""
    return next(row for row in log(records) if row["commit"] == commit)


def approvals_of(history: Sequence[dict[str, Any]]) -> dict[str, list[Approval]]:
    """Approvals by commit, of rows (commit, action, by)."""
    from valueverse.value.committer import APPROVAL_SIDES, Approval

    given: dict[str, list[Approval]] = {}
    for row in history:
        if row["action"] in APPROVAL_SIDES:
            given.setdefault(row["commit"], []).append(Approval(row["action"], row["by"]))
    return given
