"""``valueverse value verify``: the chains of a tenant's commits and of what was done to them, worked out again."""

from __future__ import annotations

from typing import Annotated

import typer

from valueverse.commands.output import show_json
from valueverse.services.value.commits.verify_commits import verify


def register(app: typer.Typer) -> None:
    """Add ``verify`` to ``valueverse value``."""

    @app.command("verify")
    def verify_command(
        tenant: Annotated[str, typer.Option("--tenant", help="The tenant whose commits they are.")],
        head: Annotated[
            str | None, typer.Option("--head", help="A head printed before; it must still be in the chain.")
        ] = None,
    ) -> None:
        """Recompute the hash chains of a tenant's commits and commit events.

        Rows that were edited, inserted, deleted or rewritten end with status 1.

        [dim]valueverse value verify --tenant acme[/dim]
        """
        from valueverse.platform.settings import get_settings

        found = verify(get_settings(), tenant, head)
        show_json(found)
        if not found["ok"]:
            raise typer.Exit(1)
