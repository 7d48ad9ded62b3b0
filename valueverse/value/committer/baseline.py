"""What a commit fixes of the world: frozen inputs, and what measured ones are expected to be until then."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError
from valueverse.value.architect import Binding
from valueverse.value.executor import bind_inputs, values_before

if TYPE_CHECKING:
    import polars as pl

    from valueverse.value.architect import Input, Program


@dataclass(frozen=True)
class Baseline:
    """What is fixed.

    Attributes:
        values: of inputs frozen before the start, by name.
        expected: last value before it of inputs measured period by period, by name.
        snapshot: what both were made of: metric -> period (0: the last before the start) -> values.
    """

    values: dict[str, float] = field(default_factory=dict)
    expected: dict[str, float] = field(default_factory=dict)
    snapshot: dict[str, dict[str, list[float]]] = field(default_factory=dict)


def agreed_start(program: Program, stated: str | None) -> str | None:
    """First day of period 1 (YYYY-MM-DD) as a commit states it; None: the model's own, or a model without a calendar.

    Two parties agree on the start as on everything else: it is part of the commit's hash, and what a baseline is
    measured before. So it is stated, and does not follow from when the last of them got round to approving.

    Args:
        program: the model.
        stated: a day, or a month for its first day; None: nothing.

    Raises:
        RefusalError: ``bad_start``; ``missing_start`` where money or a metric needs one and the model has none.
    """
    if stated is not None:
        return _day(stated)
    measured = any(isinstance(one.source, Binding) for one in program.inputs)
    if program.axis.start is None and (measured or program.drivers or program.costs):
        message = "the model starts with its commit: state its start, a day such as 2024-01-01"
        raise RefusalError("missing_start", message, "--start")
    return None


def _day(stated: str) -> str:
    day = f"{stated}-01" if len(stated) == len("2024-01") else stated
    try:
        return datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError as error:
        raise RefusalError("bad_start", f"{stated[:40]!r} is not a date like 2024-01-01", "--start") from error


def baseline_of(program: Program, metrics: pl.DataFrame | None, scenario: str, start: str | None) -> Baseline:
    """Values of inputs frozen before the start, and the last value before it of those measured period by period.

    A measured input that the scenario overrides needs no expectation: the scenario's value was agreed.

    Args:
        program: the model.
        metrics: metric, customer, period, value; None: nothing is measured yet.
        scenario: the one agreed on.
        start: first day of period 1, as ``agreed_start`` gives it; None: the model's.

    Raises:
        RefusalError: ``missing_metric`` where a frozen input has no value and no other that stands in.
    """
    overridden = next((one.overrides for one in program.scenarios if one.name == scenario), {})
    bound = [(one, one.source) for one in program.inputs if isinstance(one.source, Binding)]
    fixed = [one for one, source in bound if source.frozen is not None or source.window is not None]
    moving = [one for one, source in bound if one not in fixed and one.name not in overridden]
    if fixed and metrics is None and fixed[0].missing.policy in {"error", "carry_forward"}:
        raise RefusalError(
            "missing_metric", f"the baseline of {fixed[0].name!r} is measured: give its data", f"inputs.{fixed[0].name}"
        )
    if metrics is None:
        return Baseline()
    baseline = bind_inputs(replace(program, inputs=tuple(fixed)), metrics, start).values
    expected = {one.name: found for one in moving if (found := _last(program, one, metrics, start)) is not None}
    used = replace(program, inputs=(*fixed, *(_last_only(one) for one in moving if one.name in expected)))
    snapshot = {
        metric: {str(period): values for period, values in rows.items()}
        for metric, rows in values_before(used, metrics, start).items()
    }
    return Baseline({name: float(values[0, 0]) for name, values in baseline.items()}, expected, snapshot)


def _last(program: Program, one: Input, metrics: pl.DataFrame, start: str | None) -> float | None:
    """The value of the one period before the start; None where it is not known."""
    try:
        return float(bind_inputs(replace(program, inputs=(_last_only(one),)), metrics, start).values[one.name][0, 0])
    except RefusalError:
        return None


def _last_only(one: Input) -> Input:
    """The input as made of the period before the start alone, and nothing in its stead."""
    assert isinstance(one.source, Binding)  # noqa: S101 - the caller's choice
    return replace(one, source=replace(one.source, window=1), missing=replace(one.missing, policy="error"))
