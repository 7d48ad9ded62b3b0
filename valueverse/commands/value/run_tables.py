"""Runs of value models as tables for people; programs read the JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.commands.output import console, sentence, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import RenderableType

_LEVELS = ("5", "50", "95")
_MOST_INPUTS = 5


def show_run(found: Mapping[str, Any]) -> None:
    """What ``run_model`` gives: per scenario its outputs, probabilities, the inputs that move the first output most,
    and flags."""
    out = console()
    for name, scenario in found["scenarios"].items():
        out.print(sentence(f"{found['model']}, scenario {name}", "bold"))
        for part in _scenario(scenario):
            out.print(part)


def show_portfolio(rows: Iterable[Mapping[str, Any]]) -> None:
    """Rows of ``portfolio_documents``: an output of a customer and scenario each."""
    lines = [
        (row["customer"], row["scenario"], output, _number(one["value"]), *_points(one["percentiles"]))
        for row in rows
        for output, one in row["outputs"].items()
    ]
    columns = ("customer", "scenario", "output", "value", *(f"{level} %" for level in _LEVELS))
    console().print(table(columns, lines, right=columns[3:]))


def _scenario(scenario: Mapping[str, Any]) -> Iterator[RenderableType]:
    outputs = scenario["outputs"]
    points = outputs.get("percentiles", {})
    values = [
        (name, _number(value), *_points(points.get(name, {})))
        for name, value in outputs.items()
        if value is None or isinstance(value, int | float)
    ]
    columns = ("output", "value", *(f"{level} %" for level in _LEVELS))
    yield table(columns, values, right=columns[1:])
    for claim, share in outputs.get("probability", {}).items():
        yield sentence(f"{claim} in {share:.1%} of all draws")
    moved = outputs.get("tornado", [])[:_MOST_INPUTS]
    if moved:
        rows = [(one["input"], _number(one["low"]), _number(one["high"]), _number(one["swing"])) for one in moved]
        yield table(("input that moves it most", "low", "high", "swing"), rows, right=("low", "high", "swing"))
    for flag in scenario.get("flags", []):
        yield sentence(", ".join(f"{name} {value}" for name, value in flag.items()), "yellow")


def _points(points: Mapping[str, Any]) -> Sequence[str | None]:
    return [_number(points.get(level)) for level in _LEVELS]


def _number(value: Any) -> str | None:
    return None if value is None else f"{value:,.2f}"
