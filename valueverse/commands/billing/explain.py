"""``valueverse explain``: from an invoice to its events, and from an event to its invoice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.output import AsJson, console, numbers, sentence, show_json, table

if TYPE_CHECKING:
    from valueverse.commands.fitting_table import FittingTable
    from valueverse.invoicing.rendering import ExplainedLine
    from valueverse.services.billing.explanations import InvoiceExplanation

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


@_explain.command("invoice")
def invoice(
    number: Annotated[str, typer.Argument(help="Number of a finalised invoice.")],
    line: Annotated[str | None, typer.Option("--line", help="Only lines with this key.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=0, help="Events per line [5; with --json 20].")] = None,
    as_json: AsJson = False,
) -> None:
    """How each line of an invoice came about: price, tiers, what is included, what came late, and its events.

    [dim]valueverse explain invoice acme-000001 --line usage[/dim]
    """
    from valueverse.platform.warehouse import connect
    from valueverse.services.billing.explain import explain_invoice
    from valueverse.services.billing.explanations import invoice_in_sentences

    settings, lake = _ready()
    with connect(settings, "builder") as connection:
        if as_json:
            show_json(explain_invoice(connection, lake, number, line, 20 if limit is None else limit))
        else:
            _show_invoice(invoice_in_sentences(connection, lake, number, line, 5 if limit is None else limit))


def _show_invoice(explained: InvoiceExplanation) -> None:
    from rich.padding import Padding

    out = console()
    out.print(sentence(explained.heading, "bold"))
    out.print(sentence(explained.basis, "dim"))
    for one, answer in explained.lines:
        out.print()
        title = sentence(f"{one.title}: {one.amount}", "bold")
        if not f"{one.title} ".startswith(f"{answer['key']} "):
            title.append(f"  --line {answer['key']}", style="not bold dim")
        out.print(title)
        for part in _parts(one, answer):
            out.print(Padding(part, (0, 0, 0, 2), expand=False))
    if explained.totals:
        out.print()
        out.print(table(("", "amount"), explained.totals, right=("amount",), header=False))


def _parts(one: ExplainedLine, answer: dict[str, Any]) -> list[Any]:
    found: list[Any] = [sentence(text) for text in one.sentences]
    if one.tiers:
        found.append(table(("", "amount"), one.tiers, right=("amount",), header=False))
    found += [sentence(text) for text in one.result]
    if not answer.get("reproduced", True):
        found.append(sentence("Its events can no longer be counted as they were billed.", "yellow"))
    if answer.get("events"):
        found.append(_events_table(answer["events"]))
    if answer.get("more_events"):
        found.append(sentence(f"and {answer['more_events']:,} more events (--limit, --json)", "dim"))
    if "leads_on" in answer:
        found.append(sentence(f"The value behind it: {answer['leads_on']}"))
    return found


def _events_table(events: list[dict[str, Any]]) -> FittingTable:
    columns, changed = ["event", "source", "id", "value"], "change" in events[0]
    values = numbers([event["value"] for event in events])
    rows = [
        [event["time"], event["source"], event["id"], value or event["text"]]
        + ([event["change"], event["changed_at"]] if changed else [])
        for event, value in zip(events, values, strict=True)
    ]
    return table([*columns, "change", "received"] if changed else columns, rows, right=("value",))


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
    from functools import partial

    from rich.padding import Padding

    from valueverse.platform.stores.event_store import EventStore
    from valueverse.platform.warehouse import connect
    from valueverse.services.billing.explain_event import explain_event
    from valueverse.services.billing.explanations import event_in_sentences
    from valueverse.services.ingestion.topic import sent_texts

    settings, lake = _ready()
    with connect(settings, "builder") as connection:
        answers = explain_event(EventStore(connection), lake, source, id_, tenant, partial(sent_texts, settings))
    for answer in answers:
        if as_json:
            show_json(answer)
            continue
        console().print(sentence(f"event {id_} of {source}, tenant {answer['tenant']}", "bold"))
        for text in event_in_sentences(answer):
            console().print(Padding(sentence(text), (0, 0, 0, 2), expand=False))


def register(app: typer.Typer) -> None:
    """Add ``explain`` to the command line."""
    app.add_typer(_explain, name="explain")
