"""``valueverse value diff``: what changed from one model, or one commit, to another, by path and in money."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from valueverse.commands.output import AsJson, show_json
from valueverse.errors import RefusalError
from valueverse.services.value.compare_models import _models, commits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from valueverse.documents import Change

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


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
        before: Annotated[
            str, typer.Argument(help="The model as it was; with --tenant, a commit's id or its first 8 digits.")
        ],
        after: Annotated[str, typer.Argument(help="The model, or commit, as it is to be.")],
        data: Annotated[Path | None, typer.Option("--data", help="Measured data, for bound inputs.")] = None,
        tenant: Annotated[str | None, typer.Option("--tenant", help="Compare two commits of this tenant.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Show what was added, removed and changed from one model or commit to another, by path and in money.

        Money of models is shown per scenario at the means of all inputs, money of commits as it was agreed over the
        whole term: benefit, cost, net present value and return.

        [dim]valueverse value diff signed.yaml proposed.yaml[/dim]
        """
        from valueverse.platform.settings import get_settings
        from valueverse.platform.stores.tenant_records import tenant_records

        if tenant is not None and data is not None:
            raise RefusalError("bad_arguments", "a commit holds what it was agreed on: leave --data out", "--data")
        if tenant is None:
            diff, title = _models(Path(before), Path(after), data), "in money, at the means of all inputs:"
        else:
            title = "in money, as agreed over the whole term:"
            with tenant_records(get_settings(), tenant) as records:
                diff = commits(records, before, after)
        if as_json:
            show_json(diff.as_json())
            return
        typer.echo("\n".join(_lines(diff.changes)))
        lines = list(_money_lines(diff.money))
        if lines:
            typer.echo("\n".join([title, *lines]))
        if diff.missing:
            typer.echo(f"not expressed in money: {diff.missing}")
