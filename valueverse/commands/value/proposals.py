"""``valueverse value proposals | accept | dispute | withdraw | close``: fees for outcomes and their verdicts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from valueverse.commands.output import AsJson, console, for_people, money, show_answer, show_json_lines, show_table
from valueverse.services.value.commits.fee_proposals import (
    _PAST,
    answer,
    close,
    listed,
)

Tenant = Annotated[str, typer.Option("--tenant", help="The tenant whose proposals they are.")]
Proposal = Annotated[
    str, typer.Argument(metavar="PROPOSAL", help="Its name, as `valueverse value proposals` prints it.")
]
By = Annotated[str, typer.Option("--by", help="Name of the person.")]
Reason = Annotated[str, typer.Option("--reason", help="Reason.")]


def register(app: typer.Typer) -> None:
    """Add ``proposals``, ``accept``, ``dispute``, ``withdraw`` and ``close`` to ``valueverse value``."""

    @app.command("proposals")
    def proposals_command(tenant: Tenant, as_json: AsJson = False) -> None:
        """Fees proposed for outcomes: at a terminal a table, else one JSON object per line with all their fields.

        [dim]valueverse value proposals --tenant acme[/dim]
        """
        from valueverse.platform.settings import get_settings
        from valueverse.platform.stores.tenant_records import tenant_records

        with tenant_records(get_settings(), tenant) as records:
            rows = listed(records, datetime.now(UTC))
        if not for_people(as_json=as_json):
            show_json_lines(rows)
        elif rows:
            columns = ("proposal", "customer", "first day", "last day", "state", "amount", "invoice")
            show_table(columns, [_shown(row) for row in rows], right=("amount",))
        else:
            console().print("no proposals: none was due in a month that was measured")

    @app.command("accept")
    def accept_command(proposal: Proposal, tenant: Tenant, by: By, as_json: AsJson = False) -> None:
        """Accept a proposal: the next invoice bills it.

        [dim]valueverse value accept 9b1de0f2 --tenant acme --by carl[/dim]
        """
        _answer("accept", tenant, proposal, {"by": by, "reason": None}, as_json=as_json)

    @app.command("dispute")
    def dispute_command(proposal: Proposal, tenant: Tenant, by: By, reason: Reason, as_json: AsJson = False) -> None:
        """Dispute a proposal within its window: it is not billed until it is accepted.

        [dim]valueverse value dispute 4c77aa31 --tenant acme --by carl --reason "not us"[/dim]
        """
        _answer("dispute", tenant, proposal, {"by": by, "reason": reason}, as_json=as_json)

    @app.command("withdraw")
    def withdraw_command(proposal: Proposal, tenant: Tenant, by: By, reason: Reason, as_json: AsJson = False) -> None:
        """Withdraw a proposal that no invoice bills; the next run proposes again what is then due.

        [dim]valueverse value withdraw e01f52d8 --tenant acme --by vera --reason typo[/dim]
        """
        _answer("withdraw", tenant, proposal, {"by": by, "reason": reason}, as_json=as_json)

    @app.command("close")
    def close_command(
        commit: Annotated[str, typer.Argument(metavar="COMMIT", help="Id of the commit, or its first 8 digits.")],
        tenant: Tenant,
        outcome: Annotated[str, typer.Option("--as", help="confirmed or written_off.")],
        by: By,
        reason: Reason,
        as_json: AsJson = False,
    ) -> None:
        """Close an active commit: its value is confirmed, or written off; it is no longer measured.

        [dim]valueverse value close 52ce6e07 --tenant acme --as confirmed --by vera --reason done[/dim]
        """
        from valueverse.platform.settings import get_settings
        from valueverse.platform.stores.tenant_records import tenant_records

        with tenant_records(get_settings(), tenant) as records:
            found = close(records, commit, outcome, by, reason)
        show_answer(found, f"the commit {found['commit'][:8]} of {found['model']} is {found['state']}", as_json=as_json)


def _answer(verb: str, tenant: str, proposal: str, given: dict[str, str | None], *, as_json: bool) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.platform.stores.tenant_records import tenant_records

    with tenant_records(get_settings(), tenant) as records:
        found = answer(records, proposal, _PAST[verb], given)
    text = f"{found['proposal']} of {found['customer']}, {money(found['amount'], found['currency'])}: {found['state']}"
    show_answer(found, text, as_json=as_json)


def _shown(row: dict[str, Any]) -> tuple[str | None, ...]:
    amount = money(row["amount"], row["currency"])
    return (
        row["proposal"], row["customer"], row["first_day"], row["last_day"], row["state"], amount, row["invoice"],
    )  # fmt: skip
