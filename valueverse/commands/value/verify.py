"""``valueverse value verify``: the chains of a tenant's commits and of what was done to them, worked out again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from valueverse.commands.output import AsJson, console, for_people, sentence, show_json, show_table
from valueverse.services.value.commits.verify_commits import verify


def register(app: typer.Typer) -> None:
    """Add ``verify`` to ``valueverse value``."""

    @app.command("verify")
    def verify_command(
        tenant: Annotated[str, typer.Option("--tenant", help="The tenant whose commits they are.")],
        head: Annotated[
            str | None, typer.Option("--head", help="A head printed before; it must still be in the chain.")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Recompute the hash chains of a tenant's commits and commit events.

        Rows that were edited, inserted, deleted or rewritten end with status 1. JSON but at a terminal.

        [dim]valueverse value verify --tenant acme[/dim]
        """
        from valueverse.platform.settings import get_settings
        from valueverse.platform.stores.tenant_records import tenant_records

        with tenant_records(get_settings(), tenant) as records:
            found = verify(records, head)
        if for_people(as_json=as_json):
            _show(found)
        else:
            show_json(found)
        if not found["ok"]:
            raise typer.Exit(1)


def _show(found: dict[str, Any]) -> None:
    out = console(soft_wrap=True)
    holds = "hold" if found["ok"] else "do not hold"
    style = "" if found["ok"] else "red"
    out.print(sentence(f"the chains of {found['commits']:,} commits and {found['deeds']:,} events {holds}", style))
    if found["problems"]:
        names = {"commits": "commits", "deeds": "events"}
        rows = [(names[one["chain"]], one["sequence"], one["reason"]) for one in found["problems"]]
        show_table(("chain", "row", "reason"), rows, right=("row",))
    if found["head"]:
        out.print(sentence(f"note it: --head {found['head']}"))
