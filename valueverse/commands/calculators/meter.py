"""``valueverse meter``: documents in, one answer per line out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valueverse.commands.calculators.ndjson import run_calculator
from valueverse.commands.output import AlwaysJson


def register(app: typer.Typer) -> None:
    """Add ``valueverse meter``."""

    @app.command("meter")
    def meter(
        file: Annotated[Path | None, typer.Option(help="Read lines from this file instead of stdin.")] = None,
        _as_json: AlwaysJson = False,
    ) -> None:
        r"""Meter events: one JSON object per line in, one per line out.

        Each line holds a meter, a period and its events; the answer is the quantity of the period, in all
        and for each combination of dimensions. Bare dates are midnight in the line's timezone (default UTC).

        [dim]printf '{"id":"a","meter":{"aggregation":"sum","value":"tokens"},"period":{"from":"2026-01-01",
        "to":"2026-02-01"},"events":\[{"id":"1","time":"2026-01-05T10:00:00Z","data":{"tokens":12.5}}]}\n' |
        valueverse meter[/dim]
        """
        from valueverse.services.calculators.meter import meter_documents

        raise typer.Exit(run_calculator(meter_documents, file))
