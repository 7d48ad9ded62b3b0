"""``valueverse value commit | log``: freeze a model for two parties to agree on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from valueverse.commands.output import AsJson, console, for_people, show_answer, show_json_lines, show_table
from valueverse.services.value.commits.commit_model import commit, log

Tenant = Annotated[str, typer.Option("--tenant", help="The tenant whose commit it is.")]

_DIGITS = 8
"""Of a commit's id: as many as commands ask for."""


def register(app: typer.Typer) -> None:
    """Add ``commit``, ``approve`` and ``log`` to ``valueverse value``."""

    @app.command("commit")
    def commit_command(  # noqa: PLR0913, PLR0917 - options of a command
        model: Annotated[Path, typer.Argument(help="A model in YAML or JSON; - reads standard input.")],
        tenant: Tenant,
        author: Annotated[str, typer.Option("--author", help="Author; may not approve it.")],
        scenario: Annotated[str, typer.Option("--scenario", help="The scenario agreed on.")] = "base",
        seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the draws.")] = 1,
        customer: Annotated[str | None, typer.Option("--customer", help="Customer that it is measured for.")] = None,
        start: Annotated[str | None, typer.Option("--start", help="First day of the first period.")] = None,
        data: Annotated[
            Path | None, typer.Option("--data", help="Measured data behind the baseline [the platform's metrics].")
        ] = None,
        parent: Annotated[str | None, typer.Option("--parent", help="The commit that this one changes ...")] = None,
        reason: Annotated[str | None, typer.Option("--reason", help="... and why.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Freeze a model and its baseline under the hash of its content, for both parties to approve.

        [dim]valueverse value commit agreed.yaml --tenant acme --author ann --customer c1 --start 2024-01-01[/dim]
        """
        from valueverse.platform.settings import get_settings
        from valueverse.platform.stores.tenant_records import tenant_records
        from valueverse.services.value.check_model import read_text
        from valueverse.services.value.model_inputs import read_data

        options = {"scenario": scenario, "seed": seed, "author": author, "parent": parent, "reason": reason}
        options |= {"customer": customer, "start": start}
        text, measured = read_text(model), read_data(data, customer)
        with tenant_records(get_settings(), tenant) as records:
            found = commit(records, text, options, measured)
        short = found["commit"][:_DIGITS]
        text = f"the commit {short} of {found['model']} is {found['state']}"
        if found["new"]:
            text += f"; next: valueverse value approve {short} --tenant {tenant} --side vendor --by NAME"
        show_answer(found, text, as_json=as_json)

    @app.command("log")
    def log_command(tenant: Tenant, as_json: AsJson = False) -> None:
        """A tenant's commits with their states, oldest first: at a terminal a table, else one JSON object per line.

        [dim]valueverse value log --tenant acme[/dim]
        """
        from valueverse.platform.settings import get_settings
        from valueverse.platform.stores.tenant_records import tenant_records

        with tenant_records(get_settings(), tenant) as records:
            rows = log(records)
        if not for_people(as_json=as_json):
            show_json_lines(rows)
        elif rows:
            show_table(("commit", "model", "state", "author", "approved by", "changes"), [_shown(row) for row in rows])
        else:
            console().print("no commits; `valueverse value commit` makes one")


def _shown(row: dict[str, Any]) -> tuple[str | None, ...]:
    approvals = ", ".join(f"{by} ({side})" for side, by in row["approvals"].items())
    parent = row["parent"] and row["parent"][:_DIGITS]
    return row["commit"][:_DIGITS], row["model"], row["state"], row["author"], approvals or None, parent
