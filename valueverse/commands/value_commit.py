"""``valueverse value commit | approve | log``: agree on a model."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    import polars as pl
    import psycopg

    from valueverse.platform.settings import Settings
    from valueverse.value.architect.ir import Program

_KNOWN = "select 1 from billing.tenant where tenant_id = %s"
_LOCKED = "select 1 from billing.tenant where tenant_id = %s for update"
Tenant = Annotated[str, typer.Option("--tenant", help="The tenant whose commit it is.")]


def commit(settings: Settings, tenant: str, text: str, said: dict[str, Any], data: Path | None) -> dict[str, Any]:
    """Freeze a model; the same content gives the same commit.

    Args:
        settings: where Postgres is.
        tenant: whose.
        text: the model.
        said: scenario, seed, author, customer, start, parent, reason.
        data: measured data behind the baseline; None: what the platform has measured of the customer.

    Raises:
        RefusalError: ``unknown_tenant``, ``unknown_scenario``, ``unknown_commit`` (the parent), ``missing_reason``.
    """
    from valueverse.platform import commit_store as store
    from valueverse.platform.warehouse import connect
    from valueverse.value.architect.canonical import canonical
    from valueverse.value.architect.parsing import parse_model
    from valueverse.value.architect.program import compile_model
    from valueverse.value.committer.baseline import baseline_of
    from valueverse.value.committer.commits import Frozen, chain_hash, commit_id

    model = parse_model(text)
    program = compile_model(model)
    if said["scenario"] not in {one.name for one in program.scenarios}:
        raise RefusalError("unknown_scenario", f"no scenario {said['scenario']!r}", "--scenario")
    with connect(settings, "builder") as connection:
        known_tenant(connection, tenant, lock=True)
        if said["parent"] is not None:
            _one(connection, tenant, said["parent"])
        measured = _measured(connection, tenant, program, said["customer"], data)
        base = baseline_of(program, measured.values, said["scenario"], said["start"])
        fixed: dict[str, Any] = {"baseline": base.values, "expected": base.expected, "snapshot": base.snapshot}
        document = Frozen(canonical(model), watermark=measured.watermark, **fixed, **said).canonical()
        found = commit_id(document)
        row = {"tenant_id": tenant, "commit_id": found, "model": program.model, "document": document}
        more = {"author": said["author"], "parent": said["parent"], "committed_at": datetime.now(UTC)}
        added = store.add(connection, row | more, chain_hash)
        connection.commit()
    told = {"commit": found, "model": program.model, "state": "proposed", "new": added}
    return told | {"start": said["start"] or program.axis.start, "baseline": base.values, "expected": base.expected}


@dataclass(frozen=True)
class _Measured:
    """Metrics (metric, customer, period, value) and the newest knowledge behind them."""

    values: pl.DataFrame | None
    watermark: str | None


def _measured(
    connection: psycopg.Connection[Any], tenant: str, program: Program, customer: str | None, data: Path | None
) -> _Measured:
    from valueverse.commands.value_run import read_data
    from valueverse.platform import value_store
    from valueverse.value.executor.binding import read_metrics

    given = read_data(data, customer)
    if given is not None:
        return _Measured(given, None if given.is_empty() else str(given["period"].max()))
    rows = value_store.metrics(connection, tenant, customer, program.currency)
    known = value_store.known_until(connection, tenant)
    if rows.is_empty() or known is None:
        return _Measured(None, None)
    return _Measured(read_metrics(rows), known.astimezone(UTC).isoformat())


def approve(settings: Settings, tenant: str, commit_id: str, side: str, by: str) -> dict[str, Any]:
    """Approve a commit for one side.

    Raises:
        RefusalError: ``unknown_commit``, ``overlaps``, or as ``commits.judge_approval``.
    """
    from valueverse.platform import commit_store as store
    from valueverse.platform.warehouse import connect
    from valueverse.value.committer.commits import Approval, judge_approval

    with connect(settings, "builder") as connection:
        known_tenant(connection, tenant, lock=True)
        author = _one(connection, tenant, commit_id)
        given = [Approval(one, name) for found, one, name in store.approvals(connection, tenant) if found == commit_id]
        judge_approval(author, given, Approval(side, by))
        if given:
            _judge_term(connection, tenant, commit_id)
        store.approve(connection, tenant, commit_id, side, by, datetime.now(UTC))
        connection.commit()
    return next(row for row in log(settings, tenant) if row["commit"] == commit_id)


def _judge_term(connection: psycopg.Connection[Any], tenant: str, commit_id: str) -> None:
    """Refuse a commit that would be active beside another for the same months: their value would be counted twice."""
    from valueverse.platform import commit_store as store
    from valueverse.platform.value_store import agreed, document
    from valueverse.value.realisation.cases import Commitment

    mine = Commitment.read(commit_id, document(connection, tenant, commit_id))
    parents = {one: parent for one, _, _, parent, _ in store.commits(connection, tenant)}
    rows = agreed(connection, [tenant])
    replaced = {*rows["parent"].drop_nulls(), parents[commit_id]}
    for row in rows.filter(~rows["closed"], ~rows["commit_id"].is_in(list(replaced))).iter_rows(named=True):
        if mine.overlaps(Commitment.read(row["commit_id"], row["document"])):
            raise RefusalError(
                "overlaps",
                f"the commit {row['commit_id']} of the same model and customer is active in some of these months: "
                "close it, or commit this one with --parent and --reason",
                "commit",
            )


def log(settings: Settings, tenant: str) -> list[dict[str, Any]]:
    """A tenant's commits with their states, oldest first."""
    from valueverse.platform import commit_store as store
    from valueverse.platform.value_store import closings
    from valueverse.platform.warehouse import connect
    from valueverse.value.committer.commits import Approval, states

    with connect(settings, "builder") as connection:
        known_tenant(connection, tenant)
        rows = store.commits(connection, tenant)
        closed = closings(connection, tenant)
        given: dict[str, list[Approval]] = {}
        for found, side, by in store.approvals(connection, tenant):
            given.setdefault(found, []).append(Approval(side, by))
    known = states([(one, parent) for one, _, _, parent, _ in rows], given, closed)
    return [
        {
            "commit": one,
            "model": model,
            "author": author,
            "parent": parent,
            "state": known[one],
            "approvals": {approval.side: approval.by for approval in given.get(one, ())},
        }
        for one, model, author, parent, _ in rows
    ]


def known_tenant(connection: psycopg.Connection[Any], tenant: str, *, lock: bool = False) -> None:
    """Refuse a tenant that there is not.

    Args:
        connection: to the warehouse.
        tenant: its key.
        lock: let nobody else write to its commits until the transaction ends.

    Raises:
        RefusalError: ``unknown_tenant``.
    """
    query = _LOCKED if lock else _KNOWN
    if not connection.execute(query, [tenant]).fetchone():
        raise RefusalError("unknown_tenant", f"no tenant {tenant!r}; `valueverse tenants list` names them", "--tenant")


def _one(connection: psycopg.Connection[Any], tenant: str, commit_id: str) -> str:
    """The author of a commit."""
    from valueverse.platform import commit_store as store

    for found, _, author, _, _ in store.commits(connection, tenant):
        if found == commit_id:
            return author
    raise RefusalError(
        "unknown_commit",
        f"the tenant {tenant!r} has no commit {commit_id[:64]!r}; `valueverse value log` lists them",
        "commit",
    )


def register(app: typer.Typer) -> None:
    """Add ``commit``, ``approve`` and ``log`` to ``valueverse value``."""

    def write(answer: Any) -> None:
        sys.stdout.write(json.dumps(answer, ensure_ascii=False) + "\n")

    @app.command("commit")
    def commit_command(  # noqa: PLR0913, PLR0917 - options of a command
        model: Annotated[Path, typer.Argument(help="A model in YAML or JSON; - reads standard input.")],
        tenant: Tenant,
        author: Annotated[str, typer.Option("--author", help="Who proposes it; does not approve it.")],
        scenario: Annotated[str, typer.Option("--scenario", help="The scenario agreed on.")] = "base",
        seed: Annotated[int, typer.Option("--seed", min=0, help="Of the draws.")] = 1,
        customer: Annotated[str | None, typer.Option("--customer", help="Whose metrics it is measured by.")] = None,
        start: Annotated[str | None, typer.Option("--start", help="First day of the first period.")] = None,
        data: Annotated[
            Path | None, typer.Option("--data", help="Measured data behind the baseline [the platform's metrics].")
        ] = None,
        parent: Annotated[str | None, typer.Option("--parent", help="The commit that this one changes ...")] = None,
        reason: Annotated[str | None, typer.Option("--reason", help="... and why.")] = None,
    ) -> None:
        """Freeze a model and its baseline under the hash of its content, for both parties to approve."""
        from valueverse.commands.value_check import read_text
        from valueverse.platform.settings import get_settings

        said = {"scenario": scenario, "seed": seed, "author": author, "parent": parent, "reason": reason}
        said |= {"customer": customer, "start": start}
        write(commit(get_settings(), tenant, read_text(model), said, data))

    @app.command("approve")
    def approve_command(
        commit_id: Annotated[str, typer.Argument(metavar="COMMIT", help="Id of the commit.")],
        tenant: Tenant,
        side: Annotated[str, typer.Option("--side", help="vendor or customer.")],
        by: Annotated[str, typer.Option("--by", help="Who approves.")],
    ) -> None:
        """Approve a commit; it is active once both sides have."""
        from valueverse.platform.settings import get_settings

        write(approve(get_settings(), tenant, commit_id, side, by))

    @app.command("log")
    def log_command(tenant: Tenant) -> None:
        """A tenant's commits with their states, oldest first."""
        from valueverse.platform.settings import get_settings

        for row in log(get_settings(), tenant):
            write(row)
