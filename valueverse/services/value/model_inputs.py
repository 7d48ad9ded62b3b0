"""Files that a run of a value model reads: the model and measured metrics."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from valueverse.value.architect import Program


def read_data(file: Path | None, customer: str | None) -> pl.DataFrame | None:
    """Metrics of a CSV or Parquet file; None for no file."""
    return None if file is None else read_metrics_file(file, customer)


def read_metrics_file(file: Path, customer: str | None, *, empty: bool = False) -> pl.DataFrame:
    """Metrics of a CSV or Parquet file, as ``read_metrics`` gives them."""
    import polars as pl

    try:
        # Texts throughout: a type guessed from the first rows may not hold for the rest.
        whole = file.suffix.lower() in {".parquet", ".pq"}
        frame = pl.read_parquet(file) if whole else pl.read_csv(file, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError) as error:
        raise RefusalError("unreadable_file", f"{file}: {str(error).splitlines()[0]}", "--data") from error
    return metrics_of(frame, customer, empty=empty)


def metrics_of(frame: pl.DataFrame, customer: str | None, *, empty: bool = False) -> pl.DataFrame:
    """Metrics of rows (metric, customer, period, value), as ``read_metrics`` gives them.

    Raises:
        RefusalError: as ``read_metrics``; ``unknown_customer``: there is no row of the customer.
    """
    from valueverse.value.executor import read_metrics

    found = read_metrics(frame, customer, empty=empty)
    if customer is not None and found.is_empty():
        _judge_customer(read_metrics(frame, None, empty=True), customer)
    return found


def _judge_customer(metrics: pl.DataFrame, customer: str) -> None:
    """Refuse a customer of whom the data hold no row: all values would be missing or defaulted."""
    known = set(metrics["customer"].drop_nulls().unique())
    if customer not in known:
        message = f"the data hold nothing of the customer {customer[:60]!r}"
        raise RefusalError.unknown("unknown_customer", message, customer, known, "--customer")


def read_program(file: Path, outputs: list[str]) -> Program:
    """The model of a file, as ``program_of`` gives it."""
    from valueverse.services.value.check_model import read_text

    return program_of(read_text(file), outputs)


def program_of(text: str, outputs: list[str]) -> Program:
    """The model compiled, with other outputs where some are asked for; its hash stays that of the document.

    Raises:
        DocumentError: all that is wrong with the model.
        RefusalError: ``bad_output``, or as an output is refused.
    """
    from valueverse.documents import DocumentError
    from valueverse.value.architect.compiler import compile_model
    from valueverse.value.architect.document import content_hash, parse_model

    model = parse_model(text)
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


def _output(text: str) -> Any:
    """``npv``, or JSON such as ``{"percentiles": [5, 95]}``; ``name:statistic`` asks for one statistic."""
    if text.startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RefusalError("bad_output", f"{text[:60]!r} is not JSON: {error}", "--output") from error
    name, colon, statistic = text.partition(":")
    return {name: [statistic]} if colon else text
