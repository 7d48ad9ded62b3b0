"""``valueverse explain``: from an invoice to its events, and from an event to its invoice."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from valueverse.commands.output import AsJson, console, show_json

_explain = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Trace invoice lines to their events, and events to their invoice lines.",
)


def _ready() -> tuple[Any, Any]:
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import get_settings

    settings = get_settings()
    return settings, Lake(settings.lake_url)


def _tree(title: str, value: Any) -> Any:
    """A readable tree of nested answers."""
    from rich.markup import escape
    from rich.tree import Tree

    tree = Tree(f"[bold]{escape(title)}[/bold]")

    def add(branch: Tree, name: str, one: Any) -> None:
        if isinstance(one, dict):
            below = branch.add(escape(name))
            for key, inner in one.items():
                add(below, key, inner)
        elif isinstance(one, list):
            below = branch.add(f"{escape(name)} ({len(one)})")
            for place, inner in enumerate(one, start=1):
                if isinstance(inner, dict) and "id" in inner:
                    amounts = ", ".join(f"{key} {entry}" for key, entry in inner.items() if entry is not None)
                    below.add(escape(amounts))
                else:
                    add(below, str(inner.get("key", place)) if isinstance(inner, dict) else str(place), inner)
        elif one is not None:
            branch.add(f"{escape(name)}: {escape(str(one))}")

    for key, inner in value.items():
        add(tree, key, inner)
    return tree


def _show(title: str, answer: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(answer)
        return

    console().print(_tree(title, answer))


@_explain.command("invoice")
def invoice(
    number: Annotated[str, typer.Argument(help="Number of a finalised invoice.")],
    line: Annotated[str | None, typer.Option("--line", help="Only lines with this key.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=0, help="Events shown per line.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Each line of an invoice: tiers, quantity, and the events that it counts.

    [dim]valueverse explain invoice acme-000001 --line usage[/dim]
    """
    from valueverse.platform.warehouse import connect
    from valueverse.services.billing.explain import explain_invoice

    settings, lake = _ready()
    with connect(settings, "builder") as connection:
        answer = explain_invoice(connection, lake, number, line, limit)
    _show(f"invoice {number}", answer, as_json=as_json)


@_explain.command("event")
def event(
    source: Annotated[str, typer.Argument(help="Source of the event, as it was sent.")],
    id_: Annotated[str, typer.Argument(metavar="ID", help="Id of the event.")],
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")] = None,
    as_json: AsJson = False,
) -> None:
    """Trace an event: the line that billed it, or the reason why it was not billed.

    [dim]valueverse explain event api-gateway req-000017 --tenant acme[/dim]
    """
    from valueverse.platform.warehouse import connect
    from valueverse.services.billing.explain import explain_event

    settings, lake = _ready()
    with connect(settings, "builder") as connection:
        answers = explain_event(connection, lake, source, id_, tenant)
    for answer in answers:
        _show(f"event {id_} of {source}", answer, as_json=as_json)


def register(app: typer.Typer) -> None:
    """Add ``explain`` to the command line."""
    app.add_typer(_explain, name="explain")
