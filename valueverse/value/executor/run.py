"""A model, run: outputs, series and flags per scenario, the same bits on every run (docs/value-models.md)."""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import rfc8785

from valueverse.errors import RefusalError
from valueverse.schemas.value import MODEL_METRICS
from valueverse.value.architect import Binding, Distribution
from valueverse.value.architect.language import Literal, Lookup, Operation, Reference
from valueverse.value.executor.binding import Bound, bind_inputs, in_scenario
from valueverse.value.executor.evaluate import evaluate_program, lookup, operate
from valueverse.value.executor.financial_metrics import outputs_of
from valueverse.value.executor.limits import ALONE, SOBOL_DRAWS, RunLimits, block_size, judge_size
from valueverse.value.executor.sampling import (
    correlated,
    expected_value,
    net,
    net_and_replicates,
    quantiles,
    standard_error,
    uncertain_inputs,
)
from valueverse.value.executor.sensitivity import sobol_indices, tornado

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from numpy.typing import NDArray

    from valueverse.value.architect import Probability, Program, Scenario, Source, Target
    from valueverse.value.architect.language import Expression

    Floats = NDArray[np.float64]

DRAWS = 65_536
"""At these, means and quantiles of smooth models are within 0.2 % of their closed forms, variances within 0.5 %."""
MOST_DRAWS = 2**22
_LARGEST_SEED = 2**53 - 1
"""What JSON carries exactly."""


@dataclass(frozen=True)
class RunRequest:
    """How a run is made: scenarios (none named: all), draws (a power of two), seed, and what else to report."""

    scenarios: tuple[str, ...] = ()
    draws: int = DRAWS
    seed: int = 1
    start: str | None = None

    @property
    def power_of_two(self) -> int:
        """The draws made: as many as asked for, or the next power of two."""
        return 1 << max(self.draws - 1, 0).bit_length()

    def names(self, scenario: str) -> bool:
        """Whether a scenario is to be run."""
        return not self.scenarios or scenario in self.scenarios


def run_model(
    program: Program,
    metrics: pl.DataFrame | None,
    asked: RunRequest,
    progress: Callable[[str], None] = lambda _: None,
    most: RunLimits = ALONE,
) -> dict[str, Any]:
    """Run every scenario asked for; no more than ``most`` is worked out.

    Raises:
        RefusalError: ``missing_metric``, ``no_number``, ``unknown_scenario``, ``bad_draws``, ``bad_seed``,
            ``bad_start``, ``too_large``.
    """
    check_request(program, asked)
    draws = asked.power_of_two
    asked_for = [one for one in program.scenarios if asked.names(one.name)]
    judge_size(program, asked_for, draws, most)
    found = {}
    flags: list[dict[str, Any]] = []
    for scenario in asked_for:
        progress(f"running scenario {scenario.name}")
        bound = _bound(program, scenario, metrics, asked)
        found[scenario.name] = _Run(program, scenario, bound, draws, asked.seed).report()
        flags += [flag for flag in bound.flags if flag not in flags]
    answer: dict[str, Any] = {
        "model": program.model,
        "content_hash": program.content_hash,
        "scenarios": found,
        "flags": [flag | {"outputs": reached(program, flag["input"])} for flag in flags],
        "draws": draws,
        "seed": asked.seed,
    }
    return answer | {"run_hash": hashlib.sha256(rfc8785.dumps(answer)).hexdigest()}


def check_request(program: Program, asked: RunRequest) -> None:
    """Refuse what cannot be run.

    Raises:
        RefusalError: ``bad_draws``, ``bad_seed``, ``bad_start``, ``unknown_scenario``.
    """
    if not 1 <= asked.draws <= MOST_DRAWS:
        raise RefusalError("bad_draws", f"{asked.draws} draws: from 1 to {MOST_DRAWS}", "--draws")
    if not 0 <= asked.seed <= _LARGEST_SEED:
        raise RefusalError("bad_seed", f"the seed {str(asked.seed)[:40]}: from 0 to {_LARGEST_SEED}", "--seed")
    if asked.start is not None:
        try:
            dt.date.fromisoformat(asked.start if len(asked.start) > 7 else f"{asked.start}-01")
        except ValueError as error:
            message = f"{asked.start[:40]!r} is no day such as 2024-01-01"
            raise RefusalError("bad_start", message, "--start") from error
    names = [one.name for one in program.scenarios]
    for name in asked.scenarios:
        if name not in names:
            raise RefusalError("unknown_scenario", f"no scenario {name!r}; known are {', '.join(names)}", "--scenario")


def _bound(program: Program, scenario: Scenario, metrics: pl.DataFrame | None, asked: RunRequest) -> Bound:
    """Bound inputs as the scenario has them: what it states needs no metric, and it may bind others."""
    changed = in_scenario(program, scenario)
    if metrics is None:
        wanted = [one for one in changed.inputs if isinstance(one.source, Binding)]
        if wanted and wanted[0].missing.policy in {"error", "carry_forward"}:
            raise RefusalError(
                "missing_metric",
                f"the input {wanted[0].name!r} is bound to a metric: give data of it",
                f"inputs.{wanted[0].name}",
            )
        metrics = MODEL_METRICS.to_frame()
    return bind_inputs(changed, metrics, asked.start)


def reached(program: Program, name: str) -> list[str]:
    """Outputs that an input reaches."""
    touched = {node.name for node in program.nodes if name in node.inputs} | {name}
    counted = [driver.node for driver in program.drivers] + [cost.node for cost in program.costs]
    money = any(node in touched for node in counted)
    return [one.name for one in program.outputs.targets if (money if one.node is None else one.node in touched)]


class _Run:
    """One scenario."""

    def __init__(self, program: Program, scenario: Scenario, bound: Bound, draws: int, seed: int) -> None:
        self.program, self.bound, self.draws, self.seed = program, bound, draws, seed
        self.sources: dict[str, Source] = {one.name: one.source for one in program.inputs} | dict(scenario.overrides)
        self.names = uncertain_inputs(program, scenario.overrides)
        # The dimension of an input is its place among all uncertain ones of the model, whatever the scenario fixes.
        self.dimensions = uncertain_inputs(program)
        self.dimensions += tuple(name for name in self.names if name not in self.dimensions)
        self.fixed = {name: self._central(name) for name in self.sources}

    def _central(self, name: str) -> Floats:
        source = self.sources[name]
        if isinstance(source, Distribution):
            return np.array([[expected_value(source)]])
        if isinstance(source, Binding):
            return self.bound.values[name]
        return np.array([source if isinstance(source, tuple) else (source,)], dtype=np.float64)

    def values(self, columns: Mapping[str, Floats]) -> dict[str, Floats]:
        """All values with some inputs replaced by columns of draws."""
        given = {name: column.reshape(-1, 1) for name, column in columns.items()}
        return evaluate_program(self.program, self.fixed | given)

    def outputs(self, values: Mapping[str, Floats], wanted: Collection[str]) -> dict[str, Floats]:
        """One number per draw of each target: a metric, or the last period of a node or input."""
        nodes = {name: self._targets[name] for name in wanted}
        return outputs_of(self.program, values, nodes)

    @cached_property
    def _targets(self) -> dict[str, str | None]:
        known: dict[str, str | None] = {one.name: one.node for one in self.program.outputs.targets}
        for statement in self.program.outputs.probabilities:
            for name in statement.names:
                known.setdefault(name, self._node_of(name))
        for name in (*self.program.outputs.tornado, *self.program.outputs.sobol):
            known.setdefault(name, self._node_of(name))
        return known

    def _node_of(self, name: str) -> str | None:
        nodes = {node.name for node in self.program.nodes}
        for candidate in (name, f"driver.{name}", f"cost.{name}"):
            if candidate in nodes or candidate in self.sources:
                return candidate
        return None

    def report(self) -> dict[str, Any]:
        """Outputs and series."""
        central = self.values({})
        at_means = self.outputs(central, self._targets)
        outputs: dict[str, Any] = {}
        whole = self._drawn() if self.names else {}
        drawn = {name: found[: self.draws] for name, found in whole.items()}
        for target in self.program.outputs.targets:
            outputs[target.name] = self._target(target, _plain(at_means[target.name][0]), whole.get(target.name))
        outputs["percentiles"] = self._percentiles(drawn, at_means)
        for statement in self.program.outputs.probabilities:
            outputs.setdefault("probability", {})[statement.text] = self._probability(statement, at_means, drawn)
        self._sensitivities(outputs)
        return {"outputs": outputs, "series": self._series(central)}

    def _drawn(self) -> dict[str, Floats]:
        """Every target over all draws, and below them over the replicates, where a mean is reported; block by block."""
        with_errors = any(_has_moments(target) for target in self.program.outputs.targets)
        made = net_and_replicates if with_errors else net
        points = made(len(self.dimensions), self.draws, self.seed)
        uniform = correlated(points, self.dimensions, self.program.correlations)
        places = {name: place for place, name in enumerate(self.dimensions)}
        size, wanted = block_size(self.program), tuple(self._targets)

        def one(start: int) -> dict[str, Floats]:
            block = uniform[start : start + size]
            columns = {name: self._quantiles(name, block[:, places[name]]) for name in self.names}
            found = self.outputs(self.values(columns), wanted)
            return {name: np.broadcast_to(found[name], (len(block),)) for name in wanted}

        # Blocks are the same however many threads there are, and are put together in their order.
        with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
            parts = list(threads.map(one, range(0, len(uniform), size)))
        return {name: np.concatenate([part[name] for part in parts]) for name in wanted}

    def _quantiles(self, name: str, probabilities: Floats) -> Floats:
        source = self.sources[name]
        assert isinstance(source, Distribution)  # noqa: S101 - names are those of distributions
        return quantiles(source, probabilities)

    def _target(self, target: Target, value: float | None, whole: Floats | None) -> Any:
        """A plain number; with statistics of its own, or of an uncertain variable, an object."""
        if whole is None or not _has_moments(target):
            if not target.statistics:
                return value
            spread = None if value is None else 0.0
            return {"value": value, "mean": value, "variance": spread, "percentiles": self._levels(None, value)}
        drawn = whole[: self.draws]
        existing = drawn[np.isfinite(drawn)]
        found: dict[str, Any] = {"value": value, **_moments(target.name, drawn, existing)}
        if len(existing) == len(drawn):
            found["standard_error"] = standard_error(whole[self.draws :], self.draws)
        return found | {"percentiles": self._levels(existing, value)}

    def _levels(self, existing: Floats | None, value: float | None) -> dict[str, float | None]:
        levels = self.program.outputs.percentiles
        if existing is None:
            return {level_name(level): value for level in levels}
        if not len(existing):
            return {level_name(level): None for level in levels}
        found = np.quantile(existing, [level / 100 for level in levels])
        return {level_name(level): float(one) for level, one in zip(levels, found, strict=True)}

    def _percentiles(self, drawn: Mapping[str, Floats], at_means: Mapping[str, Floats]) -> dict[str, Any]:
        """By output; those of the first one asked for (npv, where it is) also by themselves."""
        named = {name: self._levels(found[np.isfinite(found)], None) for name, found in drawn.items()}
        if not drawn:
            named = {name: self._levels(None, _plain(found[0])) for name, found in at_means.items()}
        first = "npv" if "npv" in named else next(iter(named), None)
        return {**(named[first] if first else {}), **named}

    def _probability(
        self, statement: Probability, at_means: Mapping[str, Floats], drawn: Mapping[str, Floats]
    ) -> float | None:
        found = drawn or at_means
        columns = {name: found[name] for name in statement.names}
        finite = np.logical_and.reduce([np.isfinite(one) for one in columns.values()])
        if not finite.any():
            return None
        held = _condition(statement.condition, {name: one[finite] for name, one in columns.items()})
        return float(np.mean(np.broadcast_to(held, finite[finite].shape)))

    def _sensitivities(self, outputs: dict[str, Any]) -> None:
        for place, name in enumerate(self.program.outputs.tornado):
            rows = tornado(self.names, partial(self._one_at_a_time, name))
            self._put(outputs, "tornado", name, rows, first=place == 0)
        for place, name in enumerate(self.program.outputs.sobol):
            found: dict[str, Any] = {"S1": {}, "ST": {}, "intervals": None, "status": "no_uncertain_inputs"}
            if self.names:
                model = self._model_of(name)
                found = sobol_indices(self.names, model, min(self.draws, SOBOL_DRAWS), self.seed)
                if self.program.correlations:
                    found["note"] = "indices take inputs as independent; correlations are left out"
            self._put(outputs, "sobol", name, found, first=place == 0)

    @staticmethod
    def _put(outputs: dict[str, Any], kind: str, name: str, found: Any, *, first: bool) -> None:
        if isinstance(outputs.get(name), dict):
            outputs[name][kind] = found
        if first:
            outputs[kind] = found
        elif not isinstance(outputs.get(name), dict):
            outputs[f"{kind}:{name}"] = found

    def _one_at_a_time(self, name: str, one: str, level: float) -> tuple[float, float | None]:
        column = self._quantiles(one, np.array([level]))
        found = self.outputs(self.values({one: column}), [name])[name]
        return float(column[0]), _plain(found[0])

    def _model_of(self, name: str) -> Callable[[Floats], Floats]:
        def part(block: Floats) -> Floats:
            columns = {one: self._quantiles(one, block[:, place]) for place, one in enumerate(self.names)}
            found = self.outputs(self.values(columns), [name])[name]
            return np.broadcast_to(found, (len(block),))

        def model(points: Floats) -> Floats:
            size = block_size(self.program)
            return np.concatenate([part(points[start : start + size]) for start in range(0, len(points), size)])

        return model

    def _series(self, values: Mapping[str, Floats]) -> dict[str, list[float]]:
        """Variables, drivers and costs per period at the means of the inputs."""
        periods = self.program.axis.periods
        shown = {node.name: values[node.name] for node in self.program.nodes if node.kind != "part"}
        return {name: np.broadcast_to(found[0], (periods,)).tolist() for name, found in shown.items()}


def _condition(expression: Expression, columns: Mapping[str, Floats]) -> Floats:
    match expression:
        case Literal(value=value):
            return np.array([value])
        case Reference(name=name):
            return columns[name]
        case Operation(operator=operator, arguments=arguments):
            return operate(operator, [_condition(one, columns) for one in arguments])
        case Lookup(argument=argument, values=values):
            return lookup(expression, _condition(argument, columns), [_condition(one, columns) for one in values])
    raise RefusalError("bad_formula", "a statement compares outputs and numbers", "outputs")


def _has_moments(target: Target) -> bool:
    """Whether an uncertain target is reported with its mean: a metric is one number unless more is asked for."""
    return target.kind != "metric" or bool(target.statistics)


def _moments(name: str, drawn: Floats, existing: Floats) -> dict[str, Any]:
    """Mean and variance; None where no draw has a number. The error of a mean over some draws alone is not known."""
    if not len(existing):
        return {"mean": None, "variance": None, "standard_error": None, "missing": 1.0}
    with np.errstate(over="ignore", invalid="ignore"):
        mean = _added(existing) / len(existing)
        centred = existing - mean
        variance = _added(centred * centred) / len(existing)
    if not math.isfinite(variance):
        raise RefusalError("no_number", f"the variance of {name!r} is beyond what a number holds", name)
    found: dict[str, Any] = {"mean": mean, "variance": variance, "standard_error": None}
    if len(existing) < len(drawn):
        found["missing"] = 1 - len(existing) / len(drawn)
    return found


def _added(numbers: Floats) -> float:
    try:
        return math.fsum(numbers)
    except OverflowError:
        return math.inf


def _plain(value: Any) -> float | None:
    number = float(value)
    return number if math.isfinite(number) else None


def level_name(level: float) -> str:
    """A percentile's name in JSON."""
    return f"{level:g}"
