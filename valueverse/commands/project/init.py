"""``valueverse init``: a project folder that can be billed as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add ``init`` to the command line."""

    @app.command("init")
    def init(
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new or empty folder.")],
        tenant: Annotated[str, typer.Option("--tenant", help="Key of the tenant: who sends the invoices.")] = "acme",
    ) -> None:
        """Start a project folder: settings, a catalog, sample customers, subscriptions and a month of usage.

        valueverse.yaml in it holds for every command that is run there or in a folder below it.

        [dim]valueverse init my-billing --tenant acme[/dim]
        """
        from valueverse.services.project.start_project import start_project

        for path in sorted(start_project(folder, tenant)):
            typer.echo(path)
        typer.echo(f"next: cd {folder} && valueverse run")
