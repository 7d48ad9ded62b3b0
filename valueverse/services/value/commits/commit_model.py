"""Freezing a model for two parties to agree on, and the states of a tenant's commits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.services.value.value_names import known_customer, known_tenant, named_commit, person

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl
    import psycopg

    from valueverse.platform.settings import Settings
    from valueverse.value.architect import Program
    from valueverse.value.architect.document import Model
    from valueverse.value.committer import Frozen


def commit(settings: Settings, tenant: str, text: str, options: dict[str, Any], data: Path | None) -> dict[str, Any]:
    """Freeze a model; the same content gives the same commit.

    Args:
        settings: where Postgres is.
        tenant: whose.
        text: the model.
        options: scenario, seed, author, customer, start, parent, reason.
        data: measured data behind the baseline; None: what the platform has measured of the customer.

    Raises:
        RefusalError: ``unknown_tenant``, ``unknown_scenario``, ``unknown_customer``, ``unknown_commit`` and
            ``ambiguous_commit`` (the parent), ``other_customer``, ``missing_start``, ``bad_start``, ``bad_seed``,
            ``missing_reason``, ``missing_name``, ``bad_name``, ``missing_metric``.
    """
    from valueverse.platform.stores import commit_store as store
    from valueverse.platform.warehouse import connect
    from valueverse.value.architect.compiler import compile_model
    from valueverse.value.architect.document import parse_model
    from valueverse.value.committer import PROPOSED, CommitEvent, chain_hash, commit_id, event_hash

    model = parse_model(text)
    program = compile_model(model)
    options = _judged(program, options)
    with connect(settings, "builder") as connection:
        known_tenant(connection, tenant, lock=True)
        if options["parent"] is not None:
            options["parent"] = _changed(connection, tenant, options["parent"], options["customer"])
        if options["customer"] is not None:
            known_customer(settings, connection, tenant, options["customer"])
        frozen = _frozen(model, program, options, _measured(connection, tenant, program, options["customer"], data))
        document = frozen.canonical()
        found = commit_id(document)
        row = {"tenant_id": tenant, "commit_id": found, "model": program.model, "document": document}
        event = CommitEvent(found, PROPOSED, frozen.author, datetime.now(UTC))
        more = {"author": event.by, "parent": frozen.parent, "committed_at": event.at}
        added = store.add(connection, row | more, chain_hash)
        if added:
            store.add_event(connection, tenant, (event.commit, event.action, event.canonical()), event_hash)
        connection.commit()
    state = "proposed" if added else next(row["state"] for row in log(settings, tenant) if row["commit"] == found)
    answer = {"commit": found, "model": program.model, "state": state, "new": added}
    fixed = {"baseline": dict(frozen.baseline), "expected": dict(frozen.expected)}
    return answer | {"start": frozen.start or program.axis.start} | fixed


def _judged(program: Program, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a commit, as they are frozen."""
    from valueverse.value.committer import agreed_start
    from valueverse.value.executor import RunRequest, check_request

    scenario, known = options["scenario"], {one.name for one in program.scenarios}
    if scenario not in known:
        raise RefusalError.unknown("unknown_scenario", f"no scenario {scenario[:60]!r}", scenario, known, "--scenario")
    check_request(program, RunRequest(seed=options["seed"]))
    return options | {"author": person(options["author"], "--author"), "start": agreed_start(program, options["start"])}


def _frozen(model: Model, program: Program, options: dict[str, Any], measured: _Measured) -> Frozen:
    from valueverse.value.architect.document import canonical_tree
    from valueverse.value.committer import Frozen, baseline_of

    base = baseline_of(program, measured.values, options["scenario"], options["start"])
    fixed: dict[str, Any] = {"baseline": base.values, "expected": base.expected, "snapshot": base.snapshot}
    return Frozen(canonical_tree(model), watermark=measured.watermark, **fixed, **options)


def _changed(connection: psycopg.Connection[Any], tenant: str, named: str, customer: str | None) -> str:
    """The commit that another one changes: for the same customer, else it would end what was agreed with somebody."""
    from valueverse.services.value.stored_runs import frozen_commit

    parent = named_commit(connection, tenant, named, "--parent")
    other = frozen_commit(connection, tenant, parent)[0].customer
    if other != customer:
        whose = "the whole tenant" if other is None else f"the customer {other!r}"
        message = f"the commit {parent} is one of {whose}: a change keeps --customer"
        raise RefusalError("other_customer", message, "--customer")
    return parent


@dataclass(frozen=True)
class _Measured:
    """Metrics (metric, customer, period, value) and the newest knowledge behind them."""

    values: pl.DataFrame | None
    watermark: str | None


def _measured(
    connection: psycopg.Connection[Any], tenant: str, program: Program, customer: str | None, data: Path | None
) -> _Measured:
    from valueverse.platform.stores import value_store
    from valueverse.services.value.model_inputs import read_data
    from valueverse.value.executor import read_metrics

    given = read_data(data, customer)
    if given is not None:
        return _Measured(given, None if given.is_empty() else str(given["period"].max()))
    rows = value_store.metrics(connection, tenant, customer, program.currency)
    known = value_store.known_until(connection, tenant)
    if rows.is_empty() or known is None:
        return _Measured(None, None)
    return _Measured(read_metrics(rows), known.astimezone(UTC).isoformat())


def log(settings: Settings, tenant: str) -> list[dict[str, Any]]:
    """A tenant's commits with their states, oldest first."""
    from valueverse.platform.stores import commit_store as store
    from valueverse.platform.stores.value_store import closings
    from valueverse.platform.warehouse import connect
    from valueverse.value.committer import Approval, commit_states

    with connect(settings, "builder") as connection:
        known_tenant(connection, tenant)
        rows = store.commits(connection, tenant)
        closed = closings(connection, tenant)
        given: dict[str, list[Approval]] = {}
        for row in store.approvals(connection, tenant):
            given.setdefault(row["commit"], []).append(Approval(row["side"], row["by"]))
    known = commit_states([(row["commit"], row["parent"]) for row in rows], given, closed)
    return [
        row
        | {
            "state": known[row["commit"]],
            "approvals": {approval.side: approval.by for approval in given.get(row["commit"], ())},
        }
        for row in rows
    ]
