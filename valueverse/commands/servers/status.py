"""``valueverse status``: servers and business of this installation at a glance."""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.output import AsJson, console, show_json, table
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from valueverse.services.operations.installation_status import InstallationStatus

_STATUS = """Show servers, stages, background work, failed runs, held tenants, what was refused or not taken, and disk.

Works while servers are down, and names what is not known then. `valueverse doctor` names the cure of each.

Exit 1: a server crashed or hangs, a run failed and was not repaired, or a tenant is held.

[dim]valueverse status[/dim]

[dim]valueverse status --watch[/dim]"""
_COLOURS = {"running": "green", "external": "green", "stopped": "dim", "crashed": "red", "not answering": "yellow"}
_SHOWN = 10


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("status", help=_STATUS)(_status)


def _status(
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Refresh until Ctrl-C.")] = False,
    every: Annotated[int, typer.Option("--every", min=1, help="With --watch: seconds between two looks.")] = 5,
    as_json: AsJson = False,
) -> None:
    if watch:
        _watch(every, as_json=as_json)
        return
    found = _read()
    if as_json:
        show_json(found.document())
    else:
        for part in _parts(found):
            console().print(part, soft_wrap=isinstance(part, str), markup=False)
    if found.needs_attention:
        raise typer.Exit(1)


def _read() -> InstallationStatus:
    from valueverse.platform.settings import get_settings
    from valueverse.services.operations.installation_status import read_status

    return read_status(get_settings(), datetime.now(UTC))


def _watch(every: int, *, as_json: bool) -> None:
    """Look again and again: on a terminal in one place, with --json one object per line."""
    if not as_json and not sys.stdout.isatty():
        raise RefusalError("no_terminal", "--watch refreshes a terminal: leave it out, or add --json", "--watch")
    try:
        if as_json:
            while True:
                show_json(_read().document())
                sys.stdout.flush()
                time.sleep(every)
        _live(every)
    except KeyboardInterrupt:
        return


def _live(every: int) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    with Live(console=console(), auto_refresh=False, vertical_overflow="visible") as live:
        while True:
            found = _read()
            footer = Text(f"as of {found.at:%Y-%m-%d %H:%M:%S} UTC; Ctrl-C ends", style="dim")
            live.update(Group(*_parts(found), footer), refresh=True)
            time.sleep(every)


def _parts(found: InstallationStatus) -> Iterator[RenderableType]:
    """The sections, those that have something to say."""
    from rich.text import Text

    yield Text(f"installation {found.home}")
    yield table(
        ["server", "state", "where"],
        [
            [one.name, Text(one.state, style=_COLOURS[one.state]), "; ".join(filter(None, [one.where, one.detail]))]
            for one in found.servers
        ],
    )
    for sentence in found.unknown:
        yield Text(sentence, style="yellow")
    yield from _stages(found)
    yield from _jobs(found)
    yield from _failed_and_held(found)
    yield from _refused(found)
    yield from _landing(found)
    for one in found.disk:
        free, total = one["free"] / 2**30, one["total"] / 2**30
        style = "red" if free < 2 else ""
        yield Text(
            f"disk of {', '.join(one['holds'])}: {free:.1f} of {total:.1f} GiB free ({one['place']})", style=style
        )


def _stages(found: InstallationStatus) -> Iterator[RenderableType]:
    stages = found.stages()
    if stages:
        rows = [
            [one["stage"], _age(one["materialised_at"], found.at), _some(one["waiting"]), one["held"]] for one in stages
        ]
        yield table(["stage", "last success", "waits", "held tenants"], rows, right=["held tenants"])
    elif not found.unknown:
        yield "no run was started yet: `valueverse up` starts what runs the stages"


def _jobs(found: InstallationStatus) -> Iterator[RenderableType]:
    if found.business.jobs:
        counts = ["waiting", "running", "failed"]
        rows = [[one["kind"], *(one[name] for name in counts)] for one in found.business.jobs]
        yield table(["background work", *counts], rows, right=counts)


def _failed_and_held(found: InstallationStatus) -> Iterator[RenderableType]:
    from rich.text import Text

    from valueverse.platform.stores import held_store
    from valueverse.platform.stores.held_invoice_store import held_invoice_sentence

    overview = found.business.overview
    if overview and overview.failed:
        yield from (Text(f"failed: {one['sentence']}", style="red") for one in overview.failed[:_SHOWN])
        yield from _more(overview.failed)
        yield Text(overview.cure, style="yellow")
    for one in found.business.held[:_SHOWN]:
        yield Text(f"{held_store.row_sentence(one)} ({held_store.since(one)})", style="red")
    yield from _more(found.business.held)
    if found.business.held:
        yield Text(held_store.CURE, style="yellow")
    for row in found.business.held_months[:_SHOWN]:
        yield Text(held_store.month_sentence(row), style="red")
    yield from _more(found.business.held_months)
    if found.business.held_months:
        yield Text(held_store.MONTH_CURE, style="yellow")
    for row in found.business.held_invoices[:_SHOWN]:
        yield Text(held_invoice_sentence(row), style="red")
    yield from _more(found.business.held_invoices)


def _refused(found: InstallationStatus) -> Iterator[RenderableType]:
    quarantined, rejected = found.business.quarantined, found.business.rejected
    if quarantined:
        rows = [
            [one["tenant"], one["reason"], one["lines"], one["newest_day"], one["newest_file"]] for one in quarantined
        ]
        yield table(["quarantined lines of", "reason", "lines", "newest", "file"], rows[:_SHOWN], right=["lines"])
        yield from _more(quarantined)
    if rejected:
        rows = [[one["tenant"], one["reason"], one["events"], one["message"]] for one in rejected]
        yield table(["rejected events of", "reason", "events", "e.g."], rows[:_SHOWN], right=["events"])
        yield from _more(rejected)


def _landing(found: InstallationStatus) -> Iterator[RenderableType]:
    from rich.text import Text

    from valueverse.services.operations.findings import inbox_sentence, topic_sentence

    if found.untaken:
        yield f"{len(found.untaken):,} landing files wait for ingestion: {_some(found.untaken)}"
    for one in found.business.inbox[:_SHOWN]:
        yield inbox_sentence(one)
    yield from _more(found.business.inbox)
    for part in found.topic[:_SHOWN]:
        yield Text(topic_sentence(part), style="yellow" if part["problem"] else "")
    yield from _more(found.topic)
    for one in found.ignored[:_SHOWN]:
        yield Text(f"not taken from the landing folder: {one['name']}: {one['reason']}", style="yellow")
    yield from _more(found.ignored)


def _more(rows: list[Any]) -> Iterator[RenderableType]:
    if len(rows) > _SHOWN:
        yield f"... and {len(rows) - _SHOWN:,} more (--json lists all)"


def _some(names: list[str]) -> str:
    more = f", and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more or "-"


def _age(instant: str | None, now: datetime) -> str:
    """How long ago, in the largest unit."""
    if instant is None:
        return "never"
    seconds = max(int((now - datetime.fromisoformat(instant)).total_seconds()), 0)
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} seconds ago"
