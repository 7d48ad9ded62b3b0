"""``valueverse value diff``: what changed from one model to another, by path and in money."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from valueverse.value.architect.canonical import Change
    from valueverse.value.architect.document import Model
    from valueverse.value.architect.ir import Program

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


def _checked(file: Path) -> tuple[Model, Program]:
    from valueverse.commands.value_check import read_text
    from valueverse.value.architect.parsing import parse_model
    from valueverse.value.architect.program import compile_model

    try:
        model = parse_model(read_text(file))
        return model, compile_model(model)
    except RefusalError as refusal:
        raise RefusalError(refusal.code, f"{file}: {refusal.message}", refusal.path) from refusal


def _money(before: Program, after: Program, data: Path | None) -> tuple[dict[str, Any], str | None]:
    """The difference in money, or why there is none to show."""
    from valueverse.commands.value_run import read_data
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


def register(app: typer.Typer) -> None:
    """Add ``diff`` to ``valueverse value``."""

    @app.command("diff")
    def diff(
        before: Annotated[Path, typer.Argument(help="The model as it was.")],
        after: Annotated[Path, typer.Argument(help="The model as it is to be.")],
        data: Annotated[Path | None, typer.Option("--data", help="Measured data, for bound inputs.")] = None,
        as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
    ) -> None:
        """Show what was added, removed and changed from one model to another, by path and in money.

        Money is told per scenario at the means of all inputs: benefit, cost, net present value and return.

        [dim]valueverse value diff signed.yaml proposed.yaml[/dim]
        """
        from valueverse.value.architect.canonical import content_hash, difference

        (old, old_program), (new, new_program) = _checked(before), _checked(after)
        changes = difference(old, new)
        money, missing = _money(old_program, new_program, data) if changes else ({}, None)
        if as_json:
            hashes = {"before": content_hash(old), "after": content_hash(new)}
            answer = {**hashes, "changes": [one.as_json() for one in changes], "money": money, "no_money": missing}
            typer.echo(json.dumps(answer, ensure_ascii=False, allow_nan=False))
            return
        typer.echo("\n".join(_lines(changes)))
        told = list(_money_lines(money))
        if told:
            typer.echo("\n".join(["in money, at the means of all inputs:", *told]))
        if missing:
            typer.echo(f"not told in money: {missing}")
