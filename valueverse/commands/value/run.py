"""``valueverse value run``: a model, run on its assumptions or on measured data."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from valueverse.commands.output import AsJson, for_people, show_json
from valueverse.commands.value.run_tables import show_run
from valueverse.services.value.model_inputs import read_data, read_program


def print_progress(line: str) -> None:
    """A line of progress, beside the answer."""
    sys.stderr.write(f"{line}\n")


def register(app: typer.Typer) -> None:
    """Add ``run`` to ``valueverse value``."""

    @app.command("run")
    def run(  # noqa: PLR0913, PLR0917 - options of the public contract
        model: Annotated[Path, typer.Argument(help="A model in YAML or JSON; - reads standard input.")],
        data: Annotated[
            Path | None, typer.Option("--data", help="CSV or Parquet: metric, customer, period, value.")
        ] = None,
        scenario: Annotated[
            list[str] | None, typer.Option("--scenario", help="Only this one; may be given again.")
        ] = None,
        draws: Annotated[int, typer.Option("--draws", help="Draws of uncertain inputs; made a power of two.")] = 65_536,
        seed: Annotated[int, typer.Option("--seed", min=0, help="Another seed draws other points.")] = 1,
        output: Annotated[
            list[str] | None, typer.Option("--output", help="npv, a variable, y:sobol ...; may repeat.")
        ] = None,
        customer: Annotated[str | None, typer.Option("--customer", help="Only this customer's data.")] = None,
        start: Annotated[str | None, typer.Option("--start", help="First day of the first period.")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Run a value model: outputs and flags per scenario; with --json, or in a pipe, one object that has series too.

        [dim]valueverse value library support_deflection > m.yaml && valueverse value run m.yaml --scenario base[/dim]
        """
        from valueverse.value.executor import RunRequest, run_model

        program = read_program(model, output or [])
        asked = RunRequest(tuple(scenario or ()), draws, seed, start)
        metrics = read_data(data, customer)
        if metrics is not None and (customers := metrics["customer"].n_unique()) > 1:
            print_progress(
                f"taking {customers} customers together as one; --customer picks one, value portfolio runs each"
            )
        found = run_model(program, metrics, asked, print_progress)
        if for_people(as_json=as_json):
            show_run(found)
        else:
            show_json(found)
