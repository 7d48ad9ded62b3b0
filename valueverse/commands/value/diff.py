"""``valueverse value diff``: what changed from one model, or one commit, to another, by path and in money."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from valueverse.platform.settings import Settings
    from valueverse.value.architect.document.canonical import Change
    from valueverse.value.architect.document.model import Model
    from valueverse.value.architect.program_ir import Program
    from valueverse.value.realisation.case_runs import Commitment

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def _checked(file: Path) -> tuple[Model, Program]:
    from valueverse.commands.value.check import read_text
    from valueverse.value.architect.compiler.program import compile_model
    from valueverse.value.architect.document.parsing import parse_model

    try:
        model = parse_model(read_text(file))
        return model, compile_model(model)
    except RefusalError as refusal:
        raise RefusalError(refusal.code, f"{file}: {refusal.message}", refusal.path) from refusal


def _money(before: Program, after: Program, data: Path | None) -> tuple[dict[str, Any], str | None]:
    """The difference in money, or why there is none to show."""
    from valueverse.commands.value.run import read_data
    from valueverse.value.executor.comparison import money_difference

    metrics = read_data(data, None)
    try:
        return money_difference(before, after, metrics), None
    except RefusalError as refusal:
        return {}, f"{refusal.message} [{refusal.code}]"


def _lines(changes: list[Change]) -> Iterator[str]:
    for one in changes:
        before, after = (json.dumps(side, ensure_ascii=False) for side in (one.before, one.after))
        sides = {"added": after, "removed": before}
        yield f"{_SIGNS[one.kind]} {one.path}: {sides.get(one.kind, f'{before} -> {after}')}"
    if not changes:
        yield "no difference"


def _money_lines(money: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> Iterator[str]:
    def shown(value: float | None) -> str:
        return "none" if value is None else f"{value:,.2f}"

    for scenario, metrics in money.items():
        moved = {name: sides for name, sides in metrics.items() if sides["before"] != sides["after"]}
        for name, sides in moved.items():
            gap = sides["difference"]
            by = "" if gap is None else f" ({gap:+,.2f})"
            yield f"  {scenario}: {name} {shown(sides['before'])} -> {shown(sides['after'])}{by}"


@dataclass(frozen=True)
class _Told:
    """A difference: hashes of both sides, changes, money by scenario, and why there is none."""

    hashes: dict[str, str]
    changes: list[Change]
    money: dict[str, Any]
    missing: str | None


def _models(before: Path, after: Path, data: Path | None) -> _Told:
    from valueverse.value.architect.document.canonical import content_hash, difference

    (old, old_program), (new, new_program) = _checked(before), _checked(after)
    found = difference(old, new)
    money, missing = _money(old_program, new_program, data) if found else ({}, None)
    return _Told({"before": content_hash(old), "after": content_hash(new)}, found, money, missing)


def commits(settings: Settings, tenant: str, before: str, after: str) -> _Told:
    """What differs between two commits in all that they froze, and in the money agreed over the whole term.

    Raises:
        RefusalError: ``unknown_tenant``, ``unknown_commit``, ``ambiguous_commit``.
    """
    from valueverse.platform.warehouse import connect
    from valueverse.services.value.stored_runs import frozen_commit
    from valueverse.services.value.value_names import known_tenant
    from valueverse.value.architect.document.canonical import changes

    with connect(settings, "builder") as connection:
        known_tenant(connection, tenant)
        (old, old_text), (new, new_text) = (frozen_commit(connection, tenant, one) for one in (before, after))
    found = changes(json.loads(old_text), json.loads(new_text))
    money, missing = _agreed_money(old, new)
    return _Told({"before": old.commit, "after": new.commit}, found, money, missing)


def _agreed_money(old: Commitment, new: Commitment) -> tuple[dict[str, Any], str | None]:
    import polars as pl

    from valueverse.value.executor.comparison import METRICS, sides
    from valueverse.value.realisation.case_runs import agreed_run

    nothing = pl.DataFrame(schema=dict.fromkeys(("metric", "customer", "period", "value"), pl.String))
    runs = [agreed_run(one, nothing) for one in (old, new)]
    if None in runs:
        return {}, "a measured input has no expected value in one of the commits"
    values = [run.values for run in runs if run is not None]
    return {"agreed": {name: sides(*(one.get(name) for one in values)) for name in METRICS}}, None


def register(app: typer.Typer) -> None:
    """Add ``diff`` to ``valueverse value``."""

    @app.command("diff")
    def diff(
        before: Annotated[
            str, typer.Argument(help="The model as it was; with --tenant, a commit's id or its first 8 digits.")
        ],
        after: Annotated[str, typer.Argument(help="The model, or commit, as it is to be.")],
        data: Annotated[Path | None, typer.Option("--data", help="Measured data, for bound inputs.")] = None,
        tenant: Annotated[str | None, typer.Option("--tenant", help="Compare two commits of this tenant.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
    ) -> None:
        """Show what was added, removed and changed from one model or commit to another, by path and in money.

        Money of models is told per scenario at the means of all inputs, money of commits as it was agreed over the
        whole term: benefit, cost, net present value and return.

        [dim]valueverse value diff signed.yaml proposed.yaml[/dim]
        """
        from valueverse.platform.settings import get_settings

        if tenant is not None and data is not None:
            raise RefusalError("bad_arguments", "a commit holds what it was agreed on: leave --data out", "--data")
        if tenant is None:
            told, title = _models(Path(before), Path(after), data), "in money, at the means of all inputs:"
        else:
            told, title = commits(get_settings(), tenant, before, after), "in money, as agreed over the whole term:"
        if as_json:
            answer = {**told.hashes, "changes": [one.as_json() for one in told.changes], "money": told.money}
            typer.echo(json.dumps(answer | {"no_money": told.missing}, ensure_ascii=False, allow_nan=False))
            return
        typer.echo("\n".join(_lines(told.changes)))
        lines = list(_money_lines(told.money))
        if lines:
            typer.echo("\n".join([title, *lines]))
        if told.missing:
            typer.echo(f"not told in money: {told.missing}")
