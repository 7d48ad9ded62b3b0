"""``valueverse finance``: documents in, one answer per line out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valueverse.commands.calculators.ndjson import run_calculator
from valueverse.commands.output import AlwaysJson


def register(app: typer.Typer) -> None:
    """Add ``finance`` to the command line."""

    @app.command("finance")
    def finance(
        file: Annotated[
            Path | None, typer.Option("--file", help="Read lines from this file instead of standard input.")
        ] = None,
        _as_json: AlwaysJson = False,
    ) -> None:
        r"""Present values, rates of return, annuities: one JSON object per line in, one per line out.

        [bold]fn[/bold] and its fields:
        npv (rate, cashflows, first_period 0 or 1); irr (cashflows); xnpv, xnfv (rate, dates, amounts, day_count); xirr
        (dates, amounts, day_count); mirr (cashflows, finance_rate, reinvest_rate); payback (cashflows, discount_rate);
        pmt, fv, pv, nper, rate (the other four, and when: begin or end; cash paid out is negative); periodic_rate
        (annual_effective, periods_per_year); outcome_fee (realised_value, share, floor, cap).
        [bold]day_count[/bold]: ACT/365F (default), ACT/360, 30/360 SIA, 30E/360, ACT/ACT ISDA.
        The result is null, with a status, where none exists; of several rates it is the one nearest to 10 %.

        [dim]printf '{"id":"a","fn":"irr","cashflows":\[-100,60,60]}\n' | valueverse finance[/dim]
        """
        from valueverse.services.calculators.finance import answer

        raise typer.Exit(run_calculator(answer, file, floats=True))
