"""``valueverse value explain``: the tree of an output, down to metrics and the events and invoice lines behind them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.output import AsJson, console, show_json
from valueverse.errors import RefusalError
from valueverse.services.value.explain_value import Answer, Question, RunRef, explain_commit, explain_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.tree import Tree

    from valueverse.value.realisation import Explained

DEEPEST = 12
_FEW = 4


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:,.10g}"


def _line(node: Explained, *, again: bool) -> str:
    from rich.markup import escape

    when = "" if node.period is None else f" (period {node.period})" if node.period else " (before the first period)"
    unit = "" if node.unit == "1" else f" {node.unit}"
    text = node.text if node.kind == "input" else f"= {node.text}"
    origin = f"[dim]{escape('see above' if again else text)}[/dim]"
    flags = ", ".join(sorted({flag["policy"] for flag in node.flags}))
    marked = f"  [yellow]stand-in: {flags}[/yellow]" if flags else ""
    return f"[bold]{escape(node.name)}[/bold]{when}: {_number(node.value)}{escape(unit)}  {origin}{marked}"


def _tree(answer: Answer, deepest: int) -> Tree:
    """A part is spelt out once, and no deeper than asked for; of many periods the first and the last."""
    from rich.markup import escape
    from rich.tree import Tree

    facts = {name: entry for name, entry in answer.about.items() if name not in {"output", "period", "content_hash"}}
    tree = Tree(escape(", ".join(f"{name} {entry}" for name, entry in facts.items())))
    shown: set[str] = set()
    waiting: list[tuple[Explained | str, Tree, int]] = [(answer.root, tree, 1)]
    while waiting:
        node, above, depth = waiting.pop()
        if isinstance(node, str):
            above.add(f"[dim]{escape(node)}[/dim]")
            continue
        again = node.id in shown and bool(node.children or node.id in answer.drilldown)
        branch = above.add(_line(node, again=again))
        shown.add(node.id)
        if again:
            continue
        for found in answer.drilldown.get(node.id, ()):
            _add_drilldown(branch, found)
        cut: list[Explained | str] = ["... (--depth)"]
        below = cut if node.children and depth >= deepest else _few(node.children)
        waiting.extend((child, branch, depth + 1) for child in reversed(below))
    return tree


def _few(children: Sequence[Explained]) -> list[Explained | str]:
    """The children; of one that has many periods the first two and the last."""
    found: list[Explained | str] = []
    for name in dict.fromkeys(child.name for child in children):
        same = [child for child in children if child.name == name]
        if len(same) > _FEW:
            found += [*same[:2], f"... {len(same) - 3} more periods of {name} (--json)", same[-1]]
        else:
            found += same
    return found


def _add_drilldown(branch: Tree, found: dict[str, Any]) -> None:
    from rich.markup import escape

    head = f"{found['metric']} of {found['customer'] or 'nobody in particular'} in {found['month']}: "
    below = branch.add(escape(f"{head}{_number(found['value'])} ({found['kind']}: {found['count']})"))
    for one in found["first"]:
        below.add(escape(", ".join(f"{name} {entry}" for name, entry in one.items() if entry is not None)))
    if found["count"] > len(found["first"]):
        below.add(f"... {found['count'] - len(found['first'])} more (--events)")


def register(app: typer.Typer) -> None:
    """Add ``explain`` to ``valueverse value``."""

    @app.command("explain")
    def explain_command(  # noqa: PLR0913, PLR0917 - options of a command
        model: Annotated[
            Path | None, typer.Argument(help="A model in YAML or JSON (- reads standard input); else --tenant.")
        ] = None,
        output: Annotated[
            str | None, typer.Option("--output", help="npv, net, a driver, a variable ... [npv; of a commit benefit].")
        ] = None,
        period: Annotated[
            int | None, typer.Option("--period", min=1, help="Which period's value [the last; that of the month].")
        ] = None,
        to_date: Annotated[bool, typer.Option("--to-date", help="The sum over all periods up to it.")] = False,
        data: Annotated[
            Path | None, typer.Option("--data", help="CSV or Parquet: metric, customer, period, value.")
        ] = None,
        scenario: Annotated[str, typer.Option("--scenario", help="Scenario of a model.")] = "base",
        customer: Annotated[str | None, typer.Option("--customer", help="Only this customer's data.")] = None,
        start: Annotated[str | None, typer.Option("--start", help="First day of the first period.")] = None,
        tenant: Annotated[str | None, typer.Option("--tenant", help="The tenant whose commit it is.")] = None,
        commit: Annotated[str | None, typer.Option("--commit", help="Id of the commit, or its first 8 digits.")] = None,
        month: Annotated[str | None, typer.Option("--month", help="Such as 2023-11 [the last one measured].")] = None,
        case: Annotated[str, typer.Option("--case", help="committed, forecast or realised.")] = "realised",
        run: Annotated[str | None, typer.Option("--run", help="A run by its hash; instead of --commit.")] = None,
        events: Annotated[int, typer.Option("--events", min=0, help="Events or lines shown of each value.")] = 5,
        depth: Annotated[int, typer.Option("--depth", min=1, help="Levels shown.")] = DEEPEST,
        as_json: AsJson = False,
    ) -> None:
        """Explain an output: formulas, values and units, down to metrics and their events.

        [dim]valueverse value explain model.yaml --output npv[/dim]

        [dim]valueverse value explain --tenant acme --commit 3f28c1a5 --month 2023-11[/dim]
        """
        from valueverse.platform.settings import get_settings
        from valueverse.platform.stores.tenant_records import tenant_records
        from valueverse.services.instants import read_month

        named = commit is not None or run is not None
        if (model is None) != named or named != (tenant is not None) or (commit is not None and run is not None):
            raise RefusalError("bad_arguments", "give a model, or --tenant with --commit or --run", "MODEL")
        asked = Question(output or ("benefit" if named else "npv"), period, to_date)
        if model is not None:
            answer = explain_model(model, (data, customer), scenario, start, asked)
        else:
            day = None if month is None else read_month(month, "--month")
            with tenant_records(get_settings(), str(tenant)) as records:
                answer = explain_commit(records, RunRef(commit, day, case, run), asked, events)
        if as_json:
            show_json(answer.as_json())
            return

        console().print(_tree(answer, depth))
