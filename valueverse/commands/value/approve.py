"""``valueverse value approve``: one side's yes to a commit; with both it is active."""

from __future__ import annotations

from typing import Annotated

import typer

from valueverse.commands.output import AsJson, show_answer


def register(app: typer.Typer) -> None:
    """Add ``approve`` to ``valueverse value``."""

    @app.command("approve")
    def approve_command(
        commit: Annotated[str, typer.Argument(metavar="COMMIT", help="Id of the commit, or its first 8 digits.")],
        tenant: Annotated[str, typer.Option("--tenant", help="The tenant whose commit it is.")],
        side: Annotated[str, typer.Option("--side", help="vendor or customer.")],
        by: Annotated[str, typer.Option("--by", help="Who approves.")],
        as_json: AsJson = False,
    ) -> None:
        """Approve a commit; it is active once both sides have.

        [dim]valueverse value approve 7d90b41c --tenant acme --side vendor --by vera[/dim]
        """
        from valueverse.platform.settings import get_settings
        from valueverse.platform.stores.tenant_records import tenant_records
        from valueverse.services.value.commits.approve_commit import approve

        with tenant_records(get_settings(), tenant) as records:
            found = approve(records, commit, side, by)
        show_answer(found, f"the commit {found['commit'][:8]} of {found['model']} is {found['state']}", as_json=as_json)
