"""A committed model under its bindings: committed (as agreed), realised (as measured), forecast (measured so far).

The three are one model; only where the measured inputs come from differs (value-models.md, Executor).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import rfc8785

from valueverse.dates import month_number
from valueverse.errors import RefusalError
from valueverse.schemas.value import MODEL_METRICS
from valueverse.value.architect import Binding, Distribution
from valueverse.value.architect.compiler import compile_model
from valueverse.value.architect.document import parse_model
from valueverse.value.executor import Money, bind_inputs, evaluate_program, expected_value, financial_metric, money_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl
    from numpy.typing import NDArray

    from valueverse.value.architect import Cost, Input, Program, Source

    Floats = NDArray[np.float64]

CASES = ("committed", "realised", "forecast")
TOTALS = ("total_benefit", "total_cost", "net_benefit", "npv", "roi")
"""Results over all periods that a case covers; all other results are those of the month's period."""
SUMS = ("benefit", "cost", "net")
"""Series of what drivers and costs add up to."""
NO_SUM = "{!r} is no money, which alone adds up over time: ask for one period"
MONTHS = {"month": 1, "quarter": 3, "year": 12}


@dataclass(frozen=True)
class Commitment:
    """A commit, compiled.

    Attributes:
        commit: its id.
        program: its model.
        overrides: what its scenario says about inputs.
        customer: whose metrics count; None: the whole tenant's.
        start: first day of period 1; None: it cannot be placed in a calendar, and is not tracked.
        baseline: frozen inputs.
        expected: measured inputs until they are measured.
        scenario: whose overrides.
        watermark: the newest knowledge behind baseline and expected; None: they come from nothing measured.
    """

    commit: str
    program: Program
    overrides: Mapping[str, Source]
    customer: str | None
    start: date | None
    baseline: Mapping[str, float]
    expected: Mapping[str, float]
    scenario: str = "base"
    watermark: str | None = None

    @classmethod
    def read(cls, commit: str, document: str) -> Commitment:
        """From a commit's canonical JSON."""
        found = json.loads(document)
        program = compile_model(parse_model(json.dumps(found["model"])))
        overrides = next((one.overrides for one in program.scenarios if one.name == found["scenario"]), {})
        start = found["start"] or program.axis.start
        return cls(
            commit,
            program,
            overrides,
            found["customer"],
            date.fromisoformat(start) if start else None,
            found["baseline"],
            found["expected"],
            found["scenario"],
            found["watermark"],
        )

    def period_of(self, month: date) -> int | None:
        """The period that ends with this month (1 = first), None where none does; the last one stays the last."""
        length = MONTHS.get(self.program.axis.grain)
        if self.start is None or length is None:
            return None
        passed = month_number(month) - month_number(self.start) + 1
        whole, rest = divmod(passed, length)
        return whole if rest == 0 and 1 <= whole <= self.program.axis.periods else None

    def overlaps(self, other: Commitment, until: date | None = None) -> bool:
        """Whether both are measured by the same customer's metrics, under one model, in some month.

        Args:
            other: another commit.
            until: first day of the month with which a successor takes over from the other; None: nobody does.
        """
        if (self.program.model, self.customer) != (other.program.model, other.customer):
            return False
        (first, last), (begin, end) = self._months(), other._months()
        if until is not None:
            end = min(end, month_number(until))
        return max(first, begin) < min(last, end)

    def _months(self) -> tuple[int, int]:
        """Its months [first, last), counted from year 0; nowhere in the calendar: none."""
        length = MONTHS.get(self.program.axis.grain, 0)
        first = 0 if self.start is None else month_number(self.start)
        return first, first + (0 if self.start is None else length * self.program.axis.periods)

    def measured(self) -> list[Input]:
        """Inputs bound to a metric, one value per period."""
        return [one for one in self.program.inputs if isinstance(one.source, Binding) and not frozen(one.source)]


def frozen(source: Binding) -> bool:
    """Whether a binding is one value from before the start, fixed by the commit."""
    return source.frozen is not None or source.window is not None


@dataclass(frozen=True)
class CaseRun:
    """What one case comes to in one month.

    Attributes:
        case: one of CASES.
        values: result by name at the month's period, and TOTALS over all periods of the case.
        units: of the values.
        series: benefits, costs, drivers and variables of all periods covered.
        document: inputs, metric rows, flags and values, from which the run can be repeated.
        content_hash: SHA-256 of the canonical document.
    """

    case: str
    values: dict[str, float]
    units: dict[str, str]
    series: dict[str, list[float]]
    document: dict[str, Any]
    content_hash: str

    @classmethod
    def read(cls, program: Program, document: str, content_hash: str) -> CaseRun:
        """From the document that was stored of it."""
        found = json.loads(document)
        results, series = found["results"], found["series"]
        return cls(found["case"], results, _units(program, results), series, found, content_hash)


def run_cases(commitment: Commitment, metrics: pl.DataFrame, month: date) -> list[CaseRun]:
    """The cases that can be run: committed and forecast need to know what was expected of every measured input.

    Args:
        commitment: what was agreed.
        metrics: metric, customer, period (YYYY-MM), value of its customer, up to and including ``month``.
        month: first day of a month with which a period ends.

    Raises:
        RefusalError: ``missing_metric`` where a measured input has no value and its policy is ``error``;
            ``no_number``.
    """
    n = commitment.period_of(month)
    assert n is not None  # noqa: S101 - the caller asks for months that end a period
    measured, flags = _measured(commitment, metrics, n)
    return _cases(commitment, measured, flags, metrics, n)


def repeated_cases(commitment: Commitment, realised: CaseRun) -> list[CaseRun]:
    """The cases of a part of a commitment, from the realised run of the whole.

    Args:
        commitment: with some of the inputs, drivers and costs of the one that was run.
        realised: the run whose measured values and flags count.

    Raises:
        RefusalError: ``no_number``.
    """
    inputs = realised.document["inputs"]
    measured = {one.name: np.array([inputs[one.name]], dtype=np.float64) for one in commitment.measured()}
    flags = [one for one in realised.document["flags"] if one["input"] in measured]
    return _cases(commitment, measured, flags, MODEL_METRICS.to_frame(), realised.document["period"])


def _cases(
    commitment: Commitment, measured: dict[str, Floats], flags: list[dict[str, Any]], metrics: pl.DataFrame, n: int
) -> list[CaseRun]:
    """The cases after ``n`` periods, from what was measured in them."""
    whole = commitment.program.axis.periods
    runs = [_run(commitment, "realised", _Cut(n, n), _given(commitment, measured, n), flags, metrics)]
    agreed = _agreed(commitment)
    if agreed is not None:
        runs.append(
            _run(commitment, "committed", _Cut(n, whole), _given(commitment, agreed, whole), [], metrics.clear())
        )
        joined = {
            name: np.concatenate([measured[name], np.broadcast_to(agreed[name], (1, whole))[:, n:]], axis=1)
            for name in measured
        }
        runs.append(_run(commitment, "forecast", _Cut(n, whole), _given(commitment, joined, whole), flags, metrics))
    return runs


def agreed_run(commitment: Commitment) -> CaseRun | None:
    """The committed case over the whole term; None where a measured input has no agreed value."""
    agreed, whole = _agreed(commitment), commitment.program.axis.periods
    if agreed is None:
        return None
    given = _given(commitment, agreed, whole)
    return _run(commitment, "committed", _Cut(whole, whole), given, [], MODEL_METRICS.to_frame())


@dataclass(frozen=True)
class _Cut:
    """Results are those of period ``at``; periods 1..``periods`` are computed."""

    at: int
    periods: int


def _measured(commitment: Commitment, metrics: pl.DataFrame, n: int) -> tuple[dict[str, Floats], list[dict[str, Any]]]:
    program = commitment.program
    bound = bind_inputs(
        replace(program, inputs=tuple(commitment.measured()), axis=replace(program.axis, periods=n)),
        metrics,
        commitment.start.isoformat() if commitment.start else None,
    )
    return bound.values, bound.flags


def _agreed(commitment: Commitment) -> dict[str, Floats] | None:
    """What is expected of measured inputs: the scenario's word, else the commit's; None where one has neither."""
    if inputs_without_agreed_value(commitment):
        return None
    stated = {**commitment.expected, **commitment.overrides}
    return {one.name: central(stated[one.name]) for one in commitment.measured()}


def inputs_without_agreed_value(commitment: Commitment) -> list[str]:
    """Measured inputs of which nothing is expected: without them the committed case has no numbers."""
    stated = {**commitment.expected, **commitment.overrides}
    measured = [one.name for one in commitment.measured()]
    return [name for name in measured if name not in stated or isinstance(stated[name], Binding)]


def central(source: Source) -> Floats:
    """A source that needs no metric, 1 x periods or 1 x 1; a distribution is its mean."""
    if isinstance(source, Distribution):
        return np.array([[expected_value(source)]])
    return np.array([source if isinstance(source, tuple) else (source,)], dtype=np.float64)


def _given(commitment: Commitment, bound: Mapping[str, Floats], periods: int) -> dict[str, Floats]:
    """Every input: measured ones as ``bound`` says, frozen ones as committed, the rest at their means."""
    found = {}
    for one in commitment.program.inputs:
        source = commitment.overrides.get(one.name, one.source)
        if one.name in bound:
            values = bound[one.name]
        elif one.name in commitment.baseline:
            values = np.array([[commitment.baseline[one.name]]])
        else:
            values = central(source)
        found[one.name] = values[:, :periods]
    return found


def series_name(program: Program, output: str) -> str:
    """The series of a run that a name means: ``saving`` is ``driver.saving``, ``total_benefit`` is ``benefit``.

    Raises:
        RefusalError: ``unknown_output``, with what was probably meant.
    """
    members = [f"driver.{one.name}" for one in program.drivers]
    members += [f"cost.{one.name}" for one in program.costs if one.at != 0]
    known = {one.rpartition(".")[2]: one for one in reversed(members)} | {one: one for one in members}
    known |= {node.name: node.name for node in program.nodes if node.kind == "variable"}
    if program.drivers or program.costs:
        known |= {one: one for one in SUMS} | {"total_benefit": "benefit", "total_cost": "cost", "net_benefit": "net"}
    if output not in known:
        raise RefusalError.unknown("unknown_output", f"no output {output[:60]!r}", output, known, "output")
    return known[output]


def adds_up(program: Program, name: str) -> bool:
    """Whether a series may be added up over time: money of a period may, a stock or a ratio may not."""
    if name in SUMS or "." in name:
        return True
    money = {str(program.currency), f"{program.currency}/{program.axis.grain}"}
    return any(node.name == name and str(node.unit) in money for node in program.nodes)


def truncated_program(program: Program, periods: int) -> Program:
    """The program over its first periods only; what it costs later is left out."""

    def inside(cost: Cost) -> bool:
        return cost.at is None or cost.at <= periods

    costs = tuple(one for one in program.costs if inside(one))
    return replace(program, axis=replace(program.axis, periods=periods), costs=costs)


def _run(
    commitment: Commitment,
    case: str,
    cut: _Cut,
    given: Mapping[str, Floats],
    flags: list[dict[str, Any]],
    metrics: pl.DataFrame,
) -> CaseRun:
    program = truncated_program(commitment.program, cut.periods)
    values = evaluate_program(program, given)
    money = money_of(program, values) if program.drivers or program.costs else None
    periods = program.axis.periods
    found = series_of(program, values, money)
    series = {name: np.broadcast_to(rows[0], (periods,)).tolist() for name, rows in found.items()}
    results = {name: one[cut.at - 1] for name, one in series.items()}
    if money is not None:
        results |= _totals(program, money)
    document: dict[str, Any] = {
        "schema": "valueverse.value_run/v1",
        "commit": commitment.commit,
        "case": case,
        "period": cut.at,
        "inputs": {name: found[0].tolist() for name, found in sorted(given.items())},
        "metrics": metrics.sort(metrics.columns).rows(),
        "flags": flags,
        "series": series,
        "results": results,
    }
    hashed = hashlib.sha256(rfc8785.dumps(_listed(document))).hexdigest()
    return CaseRun(case, results, _units(program, results), series, document, hashed)


def series_of(program: Program, values: Mapping[str, Floats], money: Money | None) -> dict[str, Floats]:
    """Variables as they are; drivers and costs after risk, attribution and decay, and their sums.

    Arrays of (rows or 1, periods or 1), as ``values`` have them.
    """
    shown = {node.name: values[node.name] for node in program.nodes if node.kind == "variable"}
    if money is None:
        return shown
    shown |= {f"driver.{name}": found for name, found in money.by_driver.items()}
    shown |= {f"cost.{name}": found for name, found in money.by_cost.items()}
    # What falls before the start is paid with the first period.
    upfront = np.zeros((len(money.upfront), program.axis.periods))
    upfront[:, 0] = money.upfront
    costs = money.costs + upfront
    return shown | {"benefit": money.benefits, "cost": costs, "net": money.benefits - costs}


def _totals(program: Program, money: Money) -> dict[str, float]:
    found = {name: float(financial_metric(program, money, name)[0]) for name in TOTALS}
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _units(program: Program, names: Mapping[str, float]) -> dict[str, str]:
    currency = program.currency or ""
    nodes = {node.name: str(node.unit) if node.unit is not None else "1" for node in program.nodes}
    return {name: "1" if name == "roi" else nodes.get(name, currency) for name in names}


def _listed(document: Any) -> Any:
    if isinstance(document, dict):
        return {name: _listed(part) for name, part in document.items()}
    return [_listed(part) for part in document] if isinstance(document, list | tuple) else document
