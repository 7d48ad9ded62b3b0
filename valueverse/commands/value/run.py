"""``valueverse value run``: a model, run on its assumptions or on measured data."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    import polars as pl

    from valueverse.value.architect.program_ir import Program


def read_data(file: Path | None, customer: str | None) -> pl.DataFrame | None:
    """Metrics of a CSV or Parquet file; None for no file."""
    return None if file is None else read_metrics_file(file, customer)


def read_metrics_file(file: Path, customer: str | None, *, empty: bool = False) -> pl.DataFrame:
    """Metrics of a CSV or Parquet file, as ``read_metrics`` gives them."""
    import polars as pl

    from valueverse.value.executor.binding import read_metrics

    try:
        # Texts throughout: a type guessed from the first rows may not hold for the rest.
        whole = file.suffix.lower() in {".parquet", ".pq"}
        frame = pl.read_parquet(file) if whole else pl.read_csv(file, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RefusalError("unreadable_file", f"{file}: {str(error).splitlines()[0]}", "--data") from error
    found = read_metrics(frame, customer, empty=empty)
    if customer is not None and found.is_empty():
        _judge_customer(read_metrics(frame, None, empty=True), customer)
    return found


def _judge_customer(metrics: pl.DataFrame, customer: str) -> None:
    """Refuse a customer of whom the data hold no row: all would be missing, or stood in for."""
    known = set(metrics["customer"].drop_nulls().unique())
    if customer not in known:
        message = f"the data hold nothing of the customer {customer[:60]!r}"
        raise RefusalError.unknown("unknown_customer", message, customer, known, "--customer")


def read_program(file: Path, outputs: list[str]) -> Program:
    """The model compiled, with other outputs where some are asked for; its hash stays that of the document."""
    from valueverse.commands.value.check import read_text
    from valueverse.documents import DocumentError
    from valueverse.value.architect.compiler.program import compile_model
    from valueverse.value.architect.document.canonical import content_hash
    from valueverse.value.architect.document.parsing import parse_model

    model = parse_model(read_text(file))
    if not outputs:
        return compile_model(model)
    try:
        program = compile_model(model.model_copy(update={"outputs": [_output(one) for one in outputs]}))
    except DocumentError as error:
        first = error.problems[0]
        if not first.path.startswith("outputs"):
            raise
        # The document has no such place.
        raise RefusalError(first.code, first.message, "--output") from error
    return replace(program, content_hash=content_hash(model))


def tell(line: str) -> None:
    """A line of progress, beside the answer."""
    sys.stderr.write(f"{line}\n")


def _output(text: str) -> Any:
    """``npv``, or JSON such as ``{"percentiles": [5, 95]}``; ``name:statistic`` asks for one statistic."""
    if text.startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RefusalError("bad_output", f"{text[:60]!r} is not JSON: {error}", "--output") from error
    name, colon, statistic = text.partition(":")
    return {name: [statistic]} if colon else text


def register(app: typer.Typer) -> None:
    """Add ``run`` to ``valueverse value``."""

    @app.command("run")
    def run(  # noqa: PLR0917 - options of the public contract
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
    ) -> None:
        """Run a value model: one JSON object with outputs, series and flags per scenario.

        [dim]valueverse value library support_deflection > m.yaml && valueverse value run m.yaml --scenario base[/dim]
        """
        from valueverse.value.executor.run import RunRequest, run_model

        program = read_program(model, output or [])
        asked = RunRequest(tuple(scenario or ()), draws, seed, start)
        metrics = read_data(data, customer)
        if metrics is not None and (customers := metrics["customer"].n_unique()) > 1:
            tell(f"taking {customers} customers together as one; --customer picks one, value portfolio runs each")
        found = run_model(program, metrics, asked, tell)
        sys.stdout.write(json.dumps(found, ensure_ascii=False, allow_nan=False) + "\n")
