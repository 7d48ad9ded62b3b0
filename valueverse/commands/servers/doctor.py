"""``valueverse doctor``: what is wrong with this installation, where, and what to do."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("doctor", help=_HELP)(_doctor)


_HELP = """Check Python, disk, rights, ports, servers, migrations and who may do what in the database.

Each line is ok, a note, or wrong with its cure; exits 1 if anything is wrong. Nothing is changed.

Example: [bold]valueverse doctor[/bold]"""

_COLOURS = {"ok": "green", "note": "yellow", "wrong": "red"}


def _doctor() -> None:
    from rich.console import Console
    from rich.text import Text

    from valueverse.platform.servers.diagnosis import examine
    from valueverse.platform.settings import get_settings

    console = Console(highlight=False, soft_wrap=True)
    wrong = 0
    for finding in examine(get_settings()):
        wrong += finding.level == "wrong"
        cure = f"; {finding.cure}" if finding.cure else ""
        line = Text(f"{finding.level:<6}", style=_COLOURS[finding.level])
        console.print(line.append(f"{finding.what} ({finding.where}){cure}", style="default"))
    if wrong:
        raise typer.Exit(1)
