"""What drivers and costs come to: totals, present values, return, payback (conventions: docs/value-models.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from valueverse.errors import RefusalError
from valueverse.value.architect.compiler import MONEY_METRICS
from valueverse.value.finance import irr_batch, payback_batch, roots_of_payments

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray

    from valueverse.value.architect import Driver, Program

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Money:
    """Benefits and costs after risk, attribution and decay.

    Attributes:
        benefits, costs: draws x periods, or x 1 where all periods are alike.
        upfront: draws: what falls before the first period, undiscounted.
        by_driver, by_cost: the same per driver and cost (costs: an upfront one has its whole amount in ``upfronts``).
    """

    benefits: Floats
    costs: Floats
    upfront: Floats
    by_driver: dict[str, Floats]
    by_cost: dict[str, Floats]
    upfronts: dict[str, Floats]


def money_of(program: Program, values: Mapping[str, Floats]) -> Money:
    """Add up drivers and costs, in the order they are written."""
    by_driver = {one.name: np.multiply(values[one.node], effect(program, one), order="F") for one in program.drivers}
    by_cost: dict[str, Floats] = {}
    upfronts: dict[str, Floats] = {}
    for one in program.costs:
        whole = values[one.node] * (1 + one.risk)
        if one.at == 0:
            upfronts[one.name] = whole[:, 0]
        elif one.at is None:
            by_cost[one.name] = whole
        else:
            once = np.zeros((whole.shape[0], program.axis.periods), order="F")
            once[:, one.at - 1] = whole[:, min(one.at, whole.shape[1]) - 1]
            by_cost[one.name] = once
    benefits, costs, upfront = np.zeros((1, 1)), np.zeros((1, 1)), np.zeros(1)
    for found in by_driver.values():
        benefits = benefits + found
    for found in by_cost.values():
        costs = costs + found
    for first in upfronts.values():
        upfront = upfront + first
    return Money(benefits, costs, upfront, by_driver, by_cost, upfronts)


def effect(program: Program, driver: Driver) -> Floats:
    """What risk, attribution and decay leave of a driver: 1 x periods, or 1 x 1 without decay."""
    share = (1 - driver.risk) * driver.attribution
    if not driver.decay:
        return np.array([[share]])
    years = np.arange(program.axis.periods) / program.axis.periods_per_year
    return share * (1 - driver.decay) ** years.reshape(1, -1)


def period_rate(program: Program) -> float:
    """The discount rate of one period."""
    discount, per_year = program.axis.discount, program.axis.periods_per_year
    if discount.compounding == "nominal":
        return discount.rate / per_year
    if discount.compounding == "continuous":
        return math.expm1(discount.rate / per_year)
    return math.expm1(math.log1p(discount.rate) / per_year)


def _moments(program: Program) -> Floats:
    """By how many periods each period is discounted."""
    shift = {"end": 0.0, "begin": 1.0, "mid": 0.5}[program.axis.discount.timing]
    return np.arange(1.0, program.axis.periods + 1) - shift


def _earlier(program: Program, rate: float) -> Floats:
    """What a flow of each period, period 0 first, is worth more than at the period's end."""
    shifts = np.arange(1.0, program.axis.periods + 1) - _moments(program)
    return (1 + rate) ** np.concatenate([[0.0], shifts])


def financial_metric(program: Program, money: Money, name: str) -> Floats:
    """One metric per draw; NaN where none exists (no cost to return on, no rate, nothing paid back)."""
    return metrics(program, money, [name])[name]


def metrics(program: Program, money: Money, names: Collection[str]) -> dict[str, Floats]:
    """Several metrics at once: present values are worked out once for all of them.

    Args:
        program: whose drivers and costs they are.
        money: of the draws.
        names: of metrics; ``driver.<key>`` or ``cost.<key>`` is what that one adds up to over all periods.

    Raises:
        RefusalError: ``no_number``: a sum overflows.
    """
    sums = _Sums(program, money)
    with np.errstate(all="ignore"):
        found = {name: sums.part(name) if "." in name else _metric(program, money, sums, name) for name in names}
        return {name: _within(name, one) for name, one in found.items()}


def outputs_of(program: Program, values: Mapping[str, Floats], nodes: Mapping[str, str | None]) -> dict[str, Floats]:
    """One number per row for each output: the last period of its node or input, or, where that is None, a metric.

    Raises:
        RefusalError: as ``metrics``.
    """
    asked = [name for name, node in nodes.items() if node is None]
    money = metrics(program, money_of(program, values), asked) if asked else {}
    return {name: money[name] if node is None else values[node][:, -1] for name, node in nodes.items()}


def _within(name: str, found: Floats) -> Floats:
    """A metric as it is; what does not exist is NaN, but a sum that overflows is refused."""
    if (np.isfinite(found) | (np.isnan(found) & (name not in MONEY_METRICS))).all() or name in {"irr", "payback"}:
        return found
    message = f"{name!r} is beyond what a number holds: its drivers and costs are too large"
    raise RefusalError("no_number", message, name)


def _metric(program: Program, money: Money, sums: _Sums, name: str) -> Floats:  # noqa: PLR0911 - one per metric
    match name:
        case "total_benefit":
            return sums.benefit
        case "total_cost":
            return sums.cost
        case "net_benefit":
            return sums.benefit - sums.cost
        case "pv_benefit":
            return sums.pv_benefit
        case "pv_cost":
            return sums.pv_cost
        case "npv":
            return sums.pv_benefit - sums.pv_cost
        case "roi":
            return np.where(sums.pv_cost == 0, np.nan, (sums.pv_benefit - sums.pv_cost) / sums.pv_cost)
        case "irr":
            return _rates(program, cash_flows(program, money))
        case "payback":
            return payback_batch(cash_flows(program, money))
        case _:
            rate = period_rate(program)
            return payback_batch(cash_flows(program, money) * _earlier(program, rate), rate)


class _Sums:
    """Sums over all periods, worked out when they are first asked for."""

    def __init__(self, program: Program, money: Money) -> None:
        self.money = money
        self.ones = np.ones(program.axis.periods)
        self.factors = (1 + period_rate(program)) ** -_moments(program)

    @cached_property
    def benefit(self) -> Floats:
        return _weighted(self.money.benefits, self.ones)

    @cached_property
    def cost(self) -> Floats:
        return _weighted(self.money.costs, self.ones) + self.money.upfront

    def part(self, name: str) -> Floats:
        """One driver or cost."""
        kind, _, key = name.partition(".")
        if kind == "cost" and key in self.money.upfronts:
            return self.money.upfronts[key]
        return _weighted((self.money.by_driver if kind == "driver" else self.money.by_cost)[key], self.ones)

    @cached_property
    def pv_benefit(self) -> Floats:
        return _weighted(self.money.benefits, self.factors)

    @cached_property
    def pv_cost(self) -> Floats:
        return _weighted(self.money.costs, self.factors) + self.money.upfront


def _weighted(found: Floats, weights: Floats) -> Floats:
    """Row sums of found x weights.

    Period by period and no matrix product: the order of the sum depends on nothing, so that the bits are the same
    whatever the block and however many threads there are.
    """
    if found.shape[1] == 1 and len(weights) > 1:
        return found[:, 0] * math.fsum(weights)
    summed: Floats = found[:, 0] * weights[0]
    part = np.empty_like(summed)
    for place in range(1, len(weights)):
        summed += np.multiply(found[:, place], weights[place], out=part)
    return summed


def cash_flows(program: Program, money: Money) -> Floats:
    """Cash flows per draw, period 0 first."""
    net = money.benefits - money.costs
    rows = max(net.shape[0], money.upfront.shape[0])
    first = np.broadcast_to(-money.upfront.reshape(-1, 1), (rows, 1))
    return np.concatenate([first, np.broadcast_to(net, (rows, program.axis.periods))], axis=1)


def _rates(program: Program, rows: Floats) -> Floats:
    """Annual effective internal rates, nearest to 10 %."""
    per_year = program.axis.periods_per_year
    if rows.shape[0] > 1:
        even, steps = _evenly(rows, program.axis.discount.timing)
        annual: Floats = np.expm1(np.log1p(irr_batch(even, per_year * steps)) * (per_year * steps))
        return annual
    times = np.concatenate([[0.0], _moments(program)]) / per_year
    found = [roots_of_payments(times, row).result for row in rows]
    return np.array([math.nan if rate is None else rate for rate in found])


def _evenly(rows: Floats, timing: str) -> tuple[Floats, int]:
    """Flows at even distances, and how many of these make up a period."""
    if timing == "end":
        return rows, 1
    if timing == "begin":
        return np.concatenate([rows[:, :1] + rows[:, 1:2], rows[:, 2:]], axis=1), 1
    halves = np.zeros((rows.shape[0], 2 * rows.shape[1] - 2))
    halves[:, 0] = rows[:, 0]
    halves[:, 1::2] = rows[:, 1:]
    return halves, 2
