"""``valueverse prorate``: documents in, one answer per line out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valueverse.commands.calculators.ndjson import run_calculator
from valueverse.commands.output import AlwaysJson


def register(app: typer.Typer) -> None:
    """Add ``prorate`` to the command line."""

    @app.command("prorate")
    def prorate(
        file: Annotated[
            Path | None, typer.Option("--file", help="Read lines from this file instead of standard input.")
        ] = None,
        _as_json: AlwaysJson = False,
    ) -> None:
        r"""Prorate an amount: one JSON object per line in, one per line out.

        [bold]In[/bold]: amount, currency, period {from, to}, used {from, to} inside it, timezone; basis day (local
        calendar days), second or 30_day (30E/360); optional credit {billed, credited}, which caps the amount.
        [bold]Out[/bold]: amount (precise), amount_rounded, factor, days used (with second: elapsed time / 24 hours).

        [dim]printf '{"id":"a","amount":"31","period":{"from":"2026-01-01","to":"2026-02-01"},
        "used":{"from":"2026-01-11","to":"2026-02-01"}}\n' | valueverse prorate[/dim]
        """
        from valueverse.services.calculators.prorate import answer

        raise typer.Exit(run_calculator(answer, file))
