"""``valueverse value portfolio``: a model, run for every customer in the data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from valueverse.commands.output import AsJson, for_people, show_json_lines
from valueverse.commands.value.run_tables import show_portfolio


def register(app: typer.Typer) -> None:
    """Add ``portfolio`` to ``valueverse value``."""

    @app.command("portfolio")
    def portfolio(  # noqa: PLR0917 - options of the public contract
        model: Annotated[Path, typer.Argument(help="A model in YAML or JSON; - reads standard input.")],
        data: Annotated[Path, typer.Option("--data", help="CSV or Parquet: metric, customer, period, value.")],
        scenario: Annotated[
            list[str] | None, typer.Option("--scenario", help="Only this one; may be given again.")
        ] = None,
        draws: Annotated[int, typer.Option("--draws", help="Draws per customer; made a power of two.")] = 1_024,
        seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed draws other points.")] = 1,
        output: Annotated[list[str] | None, typer.Option("--output", help="npv, a variable ...; may repeat.")] = None,
        start: Annotated[str | None, typer.Option("--start", help="First day of the first period.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Run a value model for every customer; with --json, or in a pipe, one object per customer and scenario.

        Values at the means, means and percentiles, under the same draws for all, so that customers compare.

        [dim]valueverse value portfolio agreed.yaml --data metrics.csv[/dim]
        """
        from valueverse.commands.value.run import print_progress
        from valueverse.services.value.model_inputs import read_metrics_file, read_program
        from valueverse.value.executor import RunRequest, bind_customers, portfolio_documents, run_portfolio

        program = read_program(model, output or [])
        asked = RunRequest(tuple(scenario or ()), draws, seed, start)
        metrics = read_metrics_file(data, None, empty=True)
        print_progress("binding the inputs of each customer")
        measured = bind_customers(program, metrics, asked)
        table = run_portfolio(program, measured, asked, print_progress)
        rows = portfolio_documents(program, measured, table)
        if for_people(as_json=as_json):
            show_portfolio(rows)
        else:
            show_json_lines(rows)
