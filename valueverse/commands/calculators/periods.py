"""``valueverse periods``: documents in, one answer per line out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valueverse.commands.calculators.ndjson import run_calculator
from valueverse.commands.output import AlwaysJson


def register(app: typer.Typer) -> None:
    """Add ``periods`` to the command line."""

    @app.command("periods")
    def periods(
        file: Annotated[
            Path | None, typer.Option("--file", help="Read lines from this file instead of standard input.")
        ] = None,
        _as_json: AlwaysJson = False,
    ) -> None:
        r"""Billing periods that overlap a window: one JSON object per line in, one per line out.

        [bold]In[/bold]: period {every, unit, align}, anchor, timezone, from, to; optional start, end of a subscription.
        [bold]Out[/bold]: periods, each with from, to, full and factor (share of local days); instants in UTC.

        [dim]printf '{"id":"a","period":{"unit":"month"},"anchor":"2026-01-31","from":"2026-02-01","to":"2026-04-01"}\n'
        | valueverse periods[/dim]
        """
        from valueverse.services.calculators.periods import answer

        raise typer.Exit(run_calculator(answer, file))
