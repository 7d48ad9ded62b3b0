"""``valueverse init``: a project folder that can be billed as it is."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from valueverse.commands.output import AsJson, show_json


def register(app: typer.Typer) -> None:
    """Add ``init`` to the command line."""

    @app.command("init")
    def init(
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
        tenant: Annotated[str, typer.Option("--tenant", help="Key of the tenant: who sends the invoices.")] = "acme",
        as_json: AsJson = False,
    ) -> None:
        """Start a project folder: settings, a catalog, sample customers, subscriptions and a month of usage.

        valueverse.yaml in it holds for every command that is run there or in a folder below it.

        [dim]valueverse init my-billing --tenant acme[/dim]
        """
        from valueverse.services.project.start_project import start_project

        files = [str(path) for path in sorted(start_project(folder, tenant))]
        following = f"cd {shlex.quote(str(folder))} && valueverse run"
        if as_json:
            show_json({"folder": str(folder), "tenant": tenant, "files": files, "next": following})
            return
        for path in files:
            typer.echo(path)
        typer.echo(f"next: {following}")
