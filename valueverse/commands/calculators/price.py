"""``valueverse price``: documents in, one answer per line out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valueverse.commands.calculators.ndjson import run_calculator
from valueverse.commands.output import AlwaysJson


def register(app: typer.Typer) -> None:
    """Add ``price`` to the command line."""

    @app.command("price")
    def price(
        file: Annotated[
            Path | None, typer.Option("--file", help="Read lines from this file instead of standard input.")
        ] = None,
        _as_json: AlwaysJson = False,
    ) -> None:
        r"""Price quantities: one JSON object per line in, one per line out.

        [bold]In[/bold]: price, and quantity | events | quantities (capacity) | buckets (bucketed); optional
        prorated_quantity, currency, convert, included, discount_percent, minimum, maximum, proration,
        billed_before, final.
        [bold]Out[/bold]: quantity, amount (precise), amount_rounded, tiers.

        [dim]printf '{"price":{"model":"standard","unit":"0.02"},"quantity":"3"}\n' | valueverse price[/dim]
        """
        from valueverse.services.calculators.price import answer

        raise typer.Exit(run_calculator(answer, file))
