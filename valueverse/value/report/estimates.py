"""A model run for a page: its metrics with intervals, its cash flow, and which inputs matter."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from valueverse.value.architect import Binding, Outputs, Probability, Scenario, Target
from valueverse.value.architect.language import Literal, Operation, Reference
from valueverse.value.executor import RunRequest, cash_flows, money_of, run_model
from valueverse.value.realisation import truncated_program

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from valueverse.value.architect import Program, Source
    from valueverse.value.realisation import Commitment

METRICS = ("npv", "roi", "payback", "total_benefit", "total_cost", "net_benefit")
LEVELS = (5.0, 50.0, 95.0)
STATISTICS = ("mean", "percentiles")
GAIN = "npv > 0"


@dataclass(frozen=True)
class Estimate:
    """A number at the means of its inputs, and the 5th and 95th percentile of its draws.

    Attributes:
        value: None where there is none, as a payback that is never reached.
        low, high: None where nothing is uncertain.
        missing: share of the draws that have no such number.
    """

    value: float | None
    low: float | None
    high: float | None
    missing: float = 0.0


@dataclass(frozen=True)
class Flow:
    """The money of a case at the means of its inputs; after risk, attribution and decay, undiscounted.

    Attributes:
        benefits, costs: per period, 1 first.
        upfront: what is paid before the first period.
        cumulative: net so far, period 0 first.
        by_driver, by_cost: sums over all periods.
    """

    benefits: list[float]
    costs: list[float]
    upfront: float
    cumulative: list[float]
    by_driver: dict[str, float]
    by_cost: dict[str, float]


@dataclass(frozen=True)
class Estimates:
    """One scenario or case, run.

    Attributes:
        metrics: of METRICS; empty for a model without drivers and costs.
        others: inputs, variables, drivers and costs that the model asks for, at the last period.
        statements: statement -> share of the draws in which it holds.
        tornado: rows of ``sensitivity.tornado``, of ``moved``.
        moved: the output that the tornado is of.
        flow: None for a model without drivers and costs.
        draws, seed, run_hash: of the run.
    """

    metrics: dict[str, Estimate]
    others: dict[str, Estimate]
    statements: dict[str, float | None]
    tornado: list[dict[str, Any]]
    moved: str
    flow: Flow | None
    flags: list[dict[str, Any]]
    draws: int
    seed: int
    run_hash: str


def asked_of(program: Program) -> Outputs:
    """What a page needs of a model: METRICS with intervals, the tornado of npv, and what the model itself asks for."""
    own = [one for one in program.outputs.targets if one.kind != "metric"]
    money = bool(program.drivers or program.costs)
    if not money and not own:
        own = [Target(one.name, "variable", one.name) for one in program.nodes if one.kind == "variable"]
        own = own or [Target(one.name, "input", one.name) for one in program.inputs]
    targets = [Target(one, "metric", None, STATISTICS) for one in METRICS] if money else []
    targets += [replace(one, statistics=STATISTICS) for one in own]
    moved = "npv" if money else targets[0].name
    statements = program.outputs.probabilities
    if money and GAIN not in {one.text for one in statements}:
        gain = Operation("greater", (Reference("npv"), Literal(0.0)))
        statements = (Probability(GAIN, gain, ("npv",)), *statements)
    return Outputs(tuple(targets), LEVELS, statements, (moved,), ())


def command_outputs(program: Program) -> list[str]:
    """The values of ``--output`` with which ``valueverse value run`` repeats such a run, bit for bit."""
    asked = asked_of(program)
    found: list[Any] = [{one.name: [*STATISTICS]} for one in asked.targets]
    found += [{"tornado": list(asked.tornado)}, *({"probability": one.text} for one in asked.probabilities)]
    return [json.dumps(one) for one in found]


def estimates_of(program: Program, metrics: pl.DataFrame | None, asked: RunRequest) -> dict[str, Estimates]:
    """Every scenario asked for.

    Raises:
        RefusalError: as ``run_model``.
    """
    whole = replace(program, outputs=asked_of(program))
    answer = run_model(whole, metrics, asked)
    return {name: _read(whole, answer, found) for name, found in answer["scenarios"].items()}


def case_estimates(
    commitment: Commitment, inputs: Mapping[str, Sequence[float]], periods: int, asked: RunRequest
) -> Estimates:
    """A case of a commit: measured and frozen inputs as that case has them, the rest as uncertain as it was agreed.

    Args:
        commitment: what was agreed.
        inputs: of the case's run, one number or one per period.
        periods: that the case covers.
        asked: draws and seed.
    """
    return estimates_of(_settled(commitment, inputs, periods), None, asked)["case"]


def case_sums(
    commitment: Commitment, inputs: Mapping[str, Sequence[float]], periods: int, asked: RunRequest
) -> dict[str, Estimate]:
    """What each driver and cost of a case, and all of them, add up to over its first periods.

    Args:
        commitment, inputs, asked: as ``case_estimates``.
        periods: that are added up, from the first.

    Returns:
        By the name of the series: ``driver.<key>``, ``cost.<key>``, ``benefit``, ``cost``, ``net``.

    Raises:
        RefusalError: as ``run_model``.
    """
    program = _settled(commitment, inputs, periods)
    metrics = {name: name for name in (*(one.node for one in program.drivers), *(one.node for one in program.costs))}
    metrics |= {"benefit": "total_benefit", "cost": "total_cost", "net": "net_benefit"}
    targets = tuple(Target(one, "metric", None, STATISTICS) for one in metrics.values())
    whole = replace(program, outputs=Outputs(targets, LEVELS, (), (), ()))
    outputs = run_model(whole, None, asked)["scenarios"]["case"]["outputs"]
    return {name: _estimate(outputs[metric]) for name, metric in metrics.items()}


def _settled(commitment: Commitment, inputs: Mapping[str, Sequence[float]], periods: int) -> Program:
    """The first periods of a case as a program that needs no metrics, with the one scenario ``case``."""
    given = {one.name for one in commitment.program.inputs if isinstance(one.source, Binding)}
    whole = truncated_program(commitment.program, periods)

    def source(name: str, written: Source) -> Source:
        if name not in given:
            return commitment.overrides.get(name, written)
        return inputs[name][0] if len(inputs[name]) == 1 else tuple(inputs[name][:periods])

    fixed = tuple(replace(one, source=source(one.name, one.source)) for one in whole.inputs)
    return replace(whole, inputs=fixed, scenarios=(Scenario("case", {}),))


def _read(program: Program, answer: Mapping[str, Any], found: Mapping[str, Any]) -> Estimates:
    outputs = found["outputs"]
    kinds = {one.name: one.kind for one in program.outputs.targets}
    read = {name: _estimate(outputs[name]) for name in kinds}
    moved = program.outputs.tornado[0]
    return Estimates(
        {name: one for name, one in read.items() if kinds[name] == "metric"},
        {name: one for name, one in read.items() if kinds[name] != "metric"},
        outputs.get("probability", {}),
        [row for row in outputs["tornado"] if row["swing"]],
        moved,
        _flow(program, found["series"]) if program.drivers or program.costs else None,
        answer["flags"],
        answer["draws"],
        answer["seed"],
        answer["run_hash"],
    )


def _estimate(found: Mapping[str, Any]) -> Estimate:
    low, high = (found["percentiles"][f"{level:g}"] for level in (LEVELS[0], LEVELS[-1]))
    certain = low == high
    return Estimate(found["value"], None if certain else low, None if certain else high, found.get("missing", 0.0))


def _flow(program: Program, series: Mapping[str, Sequence[float]]) -> Flow:
    periods = program.axis.periods
    money = money_of(program, {name: np.array([found]) for name, found in series.items()})
    benefits, costs = (np.broadcast_to(one, (1, periods))[0] for one in (money.benefits, money.costs))
    wide = {name: np.broadcast_to(one, (1, periods))[0] for name, one in (money.by_driver | money.by_cost).items()}
    sums = {name: math.fsum(one) for name, one in wide.items()}
    return Flow(
        benefits.tolist(),
        costs.tolist(),
        float(money.upfront[0]),
        np.cumsum(cash_flows(program, money)[0]).tolist(),
        {name: sums[name] for name in money.by_driver},
        {name: sums[name] for name in money.by_cost} | {name: float(one[0]) for name, one in money.upfronts.items()},
    )
