"""Every rate at which a stream of payments is worth nothing: bracketed, refined, none guessed.

Works in s = ln(1 + r): the value of amounts a at times t is sum(a exp(-s t)), and the rates r > -1 are all s. By
Descartes' rule (it holds for real exponents) there are at most as many roots as the amounts, in time order, change
sign; a Cauchy bound limits where they can lie.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Curve = Callable[[Floats], Floats]

TARGET = math.log1p(0.10)
"""Of several roots the one nearest to 10 % is the result, measured in ln(1 + r)."""
_FAR = 700.0
_POLISHED = 400
"""Payments of a stream whose roots are worked out in decimals once more; it takes about 20 microseconds each."""
_TOUCHES = 1e-13
"""A root where the curve touches zero without crossing it: relative to the sum of absolute terms."""


@dataclass(frozen=True)
class Roots:
    """Rates above -1, ascending; ``status`` is unique, multiple, none, or any (every rate solves it)."""

    rates: tuple[float, ...]
    status: str
    sign_changes: int

    @property
    def result(self) -> float | None:
        """The root nearest to 10 %; None where there is none."""
        return min(self.rates, key=lambda rate: abs(math.log1p(rate) - TARGET)) if self.rates else None


def sign_changes(amounts: Floats) -> int:
    """Changes of sign along the amounts, zeros skipped."""
    signs = np.sign(amounts[amounts != 0])
    return int(np.count_nonzero(signs[1:] != signs[:-1]))


def roots_of_payments(times: Floats, amounts: Floats) -> Roots:
    """Rates at which the payments are worth nothing.

    Args:
        times: in years or periods, in any order.
        amounts: paid at these times.
    """
    order = np.argsort(times, kind="stable")
    merged, places = np.unique(times[order], return_inverse=True)
    sums = np.array([math.fsum(amounts[order][places == place]) for place in range(len(merged))])
    held = sums != 0
    when, paid = merged[held], sums[held]
    if not len(paid):
        return Roots((), "any", 0)
    changes = sign_changes(paid)
    if not changes:
        return Roots((), "none", 0)

    def value(s: Floats) -> Floats:
        # Discounted to the end that keeps every exponent at or below 0: nothing overflows.
        reference = np.where(s >= 0, when[0], when[-1])
        return np.asarray(np.exp(-s[:, None] * (when[None, :] - reference[:, None])) @ paid)

    def exact(s: float) -> float:
        reference = when[0] if s >= 0 else when[-1]
        return math.fsum(a * math.exp(-s * (t - reference)) for a, t in zip(paid, when, strict=True))

    total = float(np.abs(paid).sum())
    high = math.log1p(total / abs(paid[0])) / (when[1] - when[0])
    low = -math.log1p(total / abs(paid[-1])) / (when[-1] - when[-2])
    found = scan(value, exact, max(low, -_FAR), min(high, _FAR), total)
    rates = tuple(rate for rate in (math.expm1(s) for s in found) if -1 < rate < math.inf)
    if len(paid) <= _POLISHED:
        rates = tuple(_polished(rate, when.tolist(), paid.tolist()) for rate in rates)
    return Roots(rates, _status(rates), changes)


def _polished(rate: float, times: list[float], amounts: list[float]) -> float:
    """The rate to the last bit: in doubles the terms of a long stream leave their rounding in the root."""
    with localcontext(prec=50):
        found = Decimal(rate)
        for _ in range(3):
            growth = 1 + found
            terms = [Decimal(a) * growth ** -Decimal(t) for a, t in zip(amounts, times, strict=True)]
            slope = -sum(Decimal(t) * term for t, term in zip(times, terms, strict=True)) / growth
            if not slope:
                return rate
            found -= sum(terms) / slope
            # Where the curve only touches zero its slope vanishes too, and a step may lead anywhere.
            if found <= -1 or abs(found - Decimal(rate)) > Decimal("1e-7") * growth:
                return rate
        return float(found)


def _status(rates: tuple[float, ...]) -> str:
    return "none" if not rates else "unique" if len(rates) == 1 else "multiple"


def _grid(low: float, high: float) -> Floats:
    """Dense where rates of business lie, and out to both bounds."""
    parts = [np.linspace(low, high, 2_001), np.linspace(-3.0, 3.0, 6_001), np.array([0.0])]
    points = np.unique(np.concatenate(parts))
    return points[(points >= low) & (points <= high)]


def scan(value: Curve, exact: Callable[[float], float], low: float, high: float, scale: float) -> list[float]:
    """Roots of a curve between two bounds, ascending: crossings, and touches within rounding.

    Args:
        value: the curve on many points at once.
        exact: the curve at one point, summed without loss.
        low, high: where to look.
        scale: sum of absolute terms, against which a touch is judged.
    """
    points = _grid(low, high)
    heights = value(points)
    zero = np.abs(heights) <= scale * 1e-16
    crossing = np.flatnonzero((np.sign(heights[1:]) * np.sign(heights[:-1]) < 0) & ~zero[1:] & ~zero[:-1])
    found = [_refined(exact, float(points[place]), float(points[place + 1])) for place in crossing]
    found += [float(points[place]) for place in np.flatnonzero(zero)]
    size = np.abs(heights)
    dips = np.flatnonzero((size[1:-1] < size[:-2]) & (size[1:-1] < size[2:])) + 1
    for place in dips:
        if np.sign(heights[place - 1]) == np.sign(heights[place]) == np.sign(heights[place + 1]):
            found += _inside(exact, float(points[place - 1]), float(points[place + 1]), scale)
    return _distinct(sorted(found))


def _distinct(found: list[float]) -> list[float]:
    kept: list[float] = []
    for s in found:
        if not kept or abs(s - kept[-1]) > 1e-9 * max(1.0, abs(s)):
            kept.append(s)
    return kept


def _refined(exact: Callable[[float], float], low: float, high: float) -> float:
    """The crossing between two points of opposite sign, to the last bits: bisection, which cannot run away."""
    below = exact(low) < 0
    for _ in range(200):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        height = exact(middle)
        if height == 0:
            return middle
        if (height < 0) == below:
            low = middle
        else:
            high = middle
    return low if abs(exact(low)) < abs(exact(high)) else high


def _inside(exact: Callable[[float], float], low: float, high: float, scale: float) -> list[float]:
    """Roots in a dip that the grid saw on one side of zero only: two close crossings, one touch, or none."""
    sign = math.copysign(1.0, exact(low))
    left, right = low, high
    golden = (math.sqrt(5) - 1) / 2
    for _ in range(120):
        first, second = right - golden * (right - left), left + golden * (right - left)
        if sign * exact(first) < sign * exact(second):
            right = second
        else:
            left = first
    bottom = 0.5 * (left + right)
    depth = sign * exact(bottom)
    if depth < 0:
        return [_refined(exact, low, bottom), _refined(exact, bottom, high)]
    return [bottom] if depth <= _TOUCHES * scale else []
