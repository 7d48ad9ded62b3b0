"""``valueverse events check``: what ingestion would say of a file, before it is delivered."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from valueverse.commands.output import AsJson, console, sentence, show_json, table

if TYPE_CHECKING:
    from valueverse.services.ingestion.check_file import CheckedFile

_events = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Event files: check them before delivery.")
_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add ``events`` to the command line."""
    app.add_typer(_events, name="events")


@_events.command("check")
def check(
    file: Annotated[Path, typer.Argument(help="An event file: .ndjson, .json, .csv or .parquet, also .gz or .zst.")],
    tenant: Annotated[
        str | None,
        typer.Option(
            "--tenant", help="Whose folder it is meant for; by default the one it lies in, or as its events say."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check an event file: which lines ingestion would take, and which not, because of what.

    Reads that file, and looks beside it for what creates its tenant. What needs state (an unknown plan, an event
    received before) shows once it is ingested.
    Exit 0: every line would be taken. Exit 1: some would be quarantined, or no file of its name is taken.

    [dim]valueverse events check events.ndjson --tenant acme[/dim]
    """
    from valueverse.platform.settings import get_settings
    from valueverse.services.ingestion.check_file import check_file

    settings = get_settings()
    found = check_file(file, tenant, datetime.now(UTC), settings.landing, settings.tenant)
    if as_json:
        show_json(found.document())
    else:
        _show(found)
    raise typer.Exit(0 if found.is_clean else 1)


def _show(found: CheckedFile) -> None:
    from rich.markup import escape

    out = console()
    taken = int(found.types["events"].sum())
    out.print(
        f"{escape(found.name)} for the tenant {escape(found.tenant)}: {taken:,} of {found.lines:,} lines would be taken"
    )
    if found.problem:
        out.print(sentence(f"not taken under this name: {found.problem}", "red"))
    if found.types.height:
        rows = [
            (row["type"], f"{row['events']:,}", row["first"], row["last"]) for row in found.types.iter_rows(named=True)
        ]
        out.print(table(("type", "events", "first", "last"), rows, right=("events",)))
    for row in found.reasons.head(_SHOWN).iter_rows(named=True):
        style = "yellow" if row["reason"] == "duplicate" else "red"
        place = f" (at {row['path']})" if row["path"] else ""
        more = f", and {row['lines'] - 1:,} lines more" if row["lines"] > 1 else ""
        where = f"line {row['first_line']}{more}" if row["first_line"] else "the whole file"
        out.print(f"[{style}]{row['reason']}[/{style}] {where}: {escape(row['message'] + place)}")
    if found.note:
        out.print(sentence(found.note, "yellow"))
    if found.reasons.height > _SHOWN:
        out.print(f"... and {found.reasons.height - _SHOWN} messages more: --json lists all")
