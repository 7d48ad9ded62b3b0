"""What drivers and costs come to: totals, present values, return, payback (conventions: docs/value-models.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from valueverse.value.finance.cashflows import irr_batch, payback
from valueverse.value.finance.roots import roots_of_payments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from valueverse.value.architect.ir import Program

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Money:
    """Benefits and costs after risk, attribution and decay.

    Attributes:
        benefits, costs: draws x periods.
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
    periods = program.axis.periods
    years = np.arange(periods) / program.axis.periods_per_year
    by_driver = {
        one.name: _wide(values[one.node], periods)
        * ((1 - one.risk) * one.attribution)
        * (1 - one.decay) ** years.reshape(1, -1)
        for one in program.drivers
    }
    by_cost: dict[str, Floats] = {}
    upfronts: dict[str, Floats] = {}
    for one in program.costs:
        whole = _wide(values[one.node], periods) * (1 + one.risk)
        if one.at == 0:
            upfronts[one.name] = whole[:, 0]
        elif one.at is None:
            by_cost[one.name] = whole
        else:
            once = np.zeros_like(whole)
            once[:, one.at - 1] = whole[:, one.at - 1]
            by_cost[one.name] = once
    none = np.zeros((1, periods))
    benefits, costs, upfront = none, none, np.zeros(1)
    for found in by_driver.values():
        benefits = benefits + found
    for found in by_cost.values():
        costs = costs + found
    for first in upfronts.values():
        upfront = upfront + first
    return Money(benefits, costs, upfront, by_driver, by_cost, upfronts)


def _wide(found: Floats, periods: int) -> Floats:
    return np.broadcast_to(found, (found.shape[0], periods))


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


def metric(program: Program, money: Money, name: str) -> Floats:
    """One metric per draw; NaN where none exists (no cost to return on, no rate, nothing paid back)."""
    factors = (1 + period_rate(program)) ** -_moments(program)
    pv_benefit = _summed(money.benefits * factors)
    pv_cost = _summed(money.costs * factors) + money.upfront
    match name:
        case "total_benefit":
            found = _summed(money.benefits)
        case "total_cost":
            found = _summed(money.costs) + money.upfront
        case "net_benefit":
            found = _summed(money.benefits) - (_summed(money.costs) + money.upfront)
        case "pv_benefit":
            found = pv_benefit
        case "pv_cost":
            found = pv_cost
        case "npv":
            found = pv_benefit - pv_cost
        case "roi":
            with np.errstate(all="ignore"):
                found = np.where(pv_cost == 0, np.nan, (pv_benefit - pv_cost) / pv_cost)
        case "irr":
            found = _rates(program, flows(money))
        case _:
            rate = period_rate(program) if name == "discounted_payback" else None
            found = np.array([_paid_back(row, rate) for row in flows(money)])
    return np.asarray(found, dtype=np.float64)


def _summed(found: Floats) -> Floats:
    """Row sums, period after period: the order is fixed, whatever the block's size."""
    total: Floats = np.cumsum(found, axis=1)[:, -1]
    return total


def flows(money: Money) -> Floats:
    """Cash flows per draw, period 0 first."""
    net = money.benefits - money.costs
    rows = max(net.shape[0], money.upfront.shape[0])
    first = np.broadcast_to(-money.upfront.reshape(-1, 1), (rows, 1))
    return np.concatenate([first, np.broadcast_to(net, (rows, net.shape[1]))], axis=1)


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


def _paid_back(row: Floats, rate: float | None) -> float:
    found = payback(row.tolist(), rate)
    return math.nan if found is None else found
