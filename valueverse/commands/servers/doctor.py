"""``valueverse doctor``: what is wrong with this installation, where, and what to do."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from itertools import chain

import typer

from valueverse.commands.output import AsJson, console, show_json


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("doctor", help=_HELP)(_doctor)


_HELP = """Find what is wrong with this installation and its business, and name the cure of each.

Checks Python, disk, rights, ports, servers, migrations and who may do what in the database; then failed runs, held
tenants, work that waits, what was quarantined, rejected or not taken.

Each line is ok, a note, or wrong with its cure. Exit 1: something is wrong. Nothing is changed.

[dim]valueverse doctor[/dim]"""

_COLOURS = {"ok": "green", "note": "yellow", "wrong": "red"}


def _doctor(as_json: AsJson = False) -> None:
    from rich.text import Text

    from valueverse.platform.servers.diagnosis import examine
    from valueverse.platform.settings import get_settings
    from valueverse.services.operations.findings import business_findings
    from valueverse.services.operations.installation_status import read_status

    settings = get_settings()
    found = chain(examine(settings), business_findings(settings, read_status(settings, datetime.now(UTC))))
    wrong = 0
    for finding in found:
        wrong += finding.level == "wrong"
        if as_json:
            show_json(asdict(finding))
            continue
        cure = f"; {finding.cure}" if finding.cure else ""
        line = Text(f"{finding.level:<6}", style=_COLOURS[finding.level])
        console().print(line.append(f"{finding.what} ({finding.where}){cure}", style="default"), soft_wrap=True)
    if wrong:
        raise typer.Exit(1)
