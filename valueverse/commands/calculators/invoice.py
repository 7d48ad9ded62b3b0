"""``valueverse invoice``: documents in, one answer per line out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valueverse.commands.calculators.ndjson import run_calculator
from valueverse.commands.output import AlwaysJson


def register(app: typer.Typer) -> None:
    """Add ``invoice`` to the command line."""

    @app.command("invoice")
    def invoice(
        file: Annotated[
            Path | None, typer.Option("--file", help="Read lines from this file instead of standard input.")
        ] = None,
        _as_json: AlwaysJson = False,
    ) -> None:
        r"""Total an invoice: one JSON object per line in, one per line out.

        [bold]In[/bold]: currency, issued_on, lines \[{key, kind, amount, tax_percent, plan, charge}]; optional
        coupons \[{key, amount or percent, applies_to {charges, plans}, applied_at}], commitment {minimum, proration
        {days, of}, tax_percent}, credit_notes \[{key, amount, created_at}], wallets \[{wallet, kind, priority, balance,
        expires_at, created_at, restrict_to}], rounding {mode, level}, timezone.
        [bold]Out[/bold]: lines \[{key, amount, discount, net, tax}], commitment_true_up, subtotal, discounts,
        discount_total, taxes, tax_total, total, credits, credit_total, amount_due, wallets \[{wallet, balance}]. What
        the lines lack of discount_total and tax_total is the true-up's.

        [dim]printf '{"lines":\[{"key":"a","amount":"10","tax_percent":"19"}],
        "coupons":\[{"key":"c","percent":"20"}]}\n' | valueverse invoice[/dim]
        """
        from valueverse.services.calculators.invoice import answer

        raise typer.Exit(run_calculator(answer, file))
