"""``valueverse value verify``: a tenant's chain of commits, worked out again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings


def verify(settings: Settings, tenant: str, head: str | None) -> dict[str, Any]:
    """Work a tenant's chain of commits out again.

    Args:
        settings: where Postgres is.
        tenant: whose.
        head: a head noted before, which must still be in the chain; None: none.

    Returns:
        ok, commits (how many), head, problems: [{sequence, reason}].
    """
    from valueverse.commands.value_commit import known_tenant
    from valueverse.platform import commit_store as store
    from valueverse.platform.warehouse import connect
    from valueverse.value.committer.chain import Link, breaks

    with connect(settings, "builder") as connection:
        known_tenant(connection, tenant)
        links = [Link(*row) for row in store.chain(connection, tenant)]
    problems = [{"sequence": sequence, "reason": reason} for sequence, reason in breaks(links, head)]
    last = links[-1].chain if links else None
    return {"ok": not problems, "commits": len(links), "head": last, "problems": problems}


def register(app: typer.Typer) -> None:
    """Add ``verify`` to ``valueverse value``."""

    @app.command("verify")
    def verify_command(
        tenant: Annotated[str, typer.Option("--tenant", help="The tenant whose commits they are.")],
        head: Annotated[
            str | None, typer.Option("--head", help="A head that was noted before: must still be in the chain.")
        ] = None,
    ) -> None:
        """Work the chain of a tenant's commits out again: an edited, missing or rewritten one ends with status 1."""
        from valueverse.platform.settings import get_settings

        found = verify(get_settings(), tenant, head)
        typer.echo(json.dumps(found))
        if not found["ok"]:
            raise typer.Exit(1)
