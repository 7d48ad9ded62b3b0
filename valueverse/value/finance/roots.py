"""Every rate at which a stream of payments is worth nothing: bracketed, refined, none guessed.

Works in s = ln(1 + r): the value of amounts a at times t is sum(a exp(-s t)), and the rates r > -1 are all s. By
Descartes' rule (it holds for real exponents) there are at most as many roots as the amounts, in time order, change
sign; a Cauchy bound limits where they can lie.
"""

from __future__ import annotations

import math
import sys
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
_SLACK = 1 + 1e-9
"""A root may lie on Cauchy's bound within rounding."""
_POLISHED = 400
"""Payments of a stream whose roots are worked out in decimals once more; it takes about 20 microseconds each."""
_MOST_STEPS = 6
_TOUCHES = 1e-13
"""A root where the curve touches zero without crossing it: relative to the sum of absolute terms."""
_ROUNDING = 1e-16
_NOTHING = Decimal("1e-25")
"""A rate that no two floats can differ by."""
_CELLS = 1_000_000
"""Points x payments held at once."""
_PARTS = 64
"""Parts that an interval is cut into at a time."""
_MOST_HALVINGS = 300
_STILL = 1e-18
"""A step in ln(1 + r) that moves no rate."""


@dataclass(frozen=True)
class Roots:
    """Rates above -1, ascending; ``status`` is unique, multiple, none, or any (every rate solves it)."""

    rates: tuple[float, ...]
    status: str
    sign_changes: int

    @property
    def result(self) -> float | None:
        """The root nearest to 10 %; None where there is none."""
        return self.nearest(TARGET)

    def nearest(self, target: float) -> float | None:
        """The root nearest to ``target`` in ln(1 + r); None where there is none."""
        return min(self.rates, key=lambda rate: abs(math.log1p(rate) - target)) if self.rates else None


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
    when, paid = _merged(times, amounts)
    if not len(paid):
        return Roots((), "any", 0)
    changes = sign_changes(paid)
    if not changes:
        return Roots((), "none", 0)
    sizes = np.abs(paid)
    pairs = tuple(zip(paid.tolist(), when.tolist(), strict=True))
    value = _evenly(when, paid) or _at_any_times(when, paid)

    def exact(s: float) -> float:
        reference = when[0] if s >= 0 else when[-1]
        terms = [amount * math.exp(-s * (time - reference)) for amount, time in pairs]
        return math.fsum(terms) / math.fsum(map(abs, terms))

    total = float(sizes.sum())
    low = max(-_SLACK * math.log1p(total / sizes[-1]) / (when[-1] - when[-2]), -_FAR)
    high = min(_SLACK * math.log1p(total / sizes[0]) / (when[1] - when[0]), _FAR)
    # Amounts that change sign once have one root at most, so that there is nothing to search for.
    found = crossing(exact, low, high) if changes == 1 else scan(value, exact, grid(low, high))
    rates = tuple(rate for rate in (_rate(s) for s in found) if -1 < rate < math.inf)
    if len(paid) <= _POLISHED:
        rates = tuple(_polished(rate, when.tolist(), paid.tolist()) for rate in rates)
    return Roots(rates, _status(rates), changes)


def _at_any_times(when: Floats, paid: Floats) -> Curve:
    """The curve as a share of the sum of absolute terms.

    Otherwise the small payments of a stream would pass for rounding where they count most.
    """
    sizes = np.abs(paid)

    def some(s: Floats) -> Floats:
        # Discounted to the end that keeps every exponent at or below 0: nothing overflows.
        reference = np.where(s >= 0, when[0], when[-1])
        terms = np.exp(-s[:, None] * (when[None, :] - reference[:, None]))
        return np.asarray(np.einsum("st,t->s", terms, paid) / np.einsum("st,t->s", terms, sizes))

    def value(s: Floats) -> Floats:
        block = max(_CELLS // len(paid), 1)
        return np.concatenate([some(s[start : start + block]) for start in range(0, len(s), block)])

    return value


def _evenly(when: Floats, paid: Floats) -> Curve | None:
    """The same of payments in whole periods, as a polynomial; None where they are not, or far between."""
    places = when - when[0]
    if places[-1] > 2 * len(paid) or not np.array_equal(places, np.rint(places)):
        return None
    flows = np.zeros(int(places[-1]) + 1)
    flows[places.astype(np.int64)] = paid

    def value(s: Floats) -> Floats:
        found = np.empty_like(s)
        for side, ordered in ((s >= 0, flows[::-1]), (s < 0, flows)):
            v = np.exp(-np.abs(s[side]))
            height, size = np.zeros_like(v), np.zeros_like(v)
            for flow in ordered:
                height *= v
                height += flow
                size *= v
                size += abs(flow)
            found[side] = height / size
        return found

    return value


def _merged(times: Floats, amounts: Floats) -> tuple[Floats, Floats]:
    """Times ascending with what is paid at each; those where nothing is left over are left out."""
    order = np.argsort(times, kind="stable")
    when, paid = times[order], amounts[order]
    starts = np.flatnonzero(np.diff(when, prepend=-math.inf))
    if len(starts) < len(when):
        paid = np.array([math.fsum(day) for day in np.split(paid, starts[1:])])
        when = when[starts]
    held = paid != 0
    return when[held], paid[held]


def _rate(s: float) -> float:
    try:
        return math.expm1(s)
    except OverflowError:
        return math.inf


def _polished(rate: float, times: list[float], amounts: list[float]) -> float:
    """The rate to the last bit: in doubles the terms of a long stream leave their rounding in the root.

    Newton's method on value / slope, whose roots are all simple: where the curve only touches zero it settles too.
    """
    with localcontext(prec=50):
        found = Decimal(rate)
        for _ in range(_MOST_STEPS):
            growth = 1 + found
            terms = [Decimal(a) * growth ** -Decimal(t) for a, t in zip(amounts, times, strict=True)]
            value = sum(terms)
            slope = -sum(Decimal(t) * term for t, term in zip(times, terms, strict=True)) / growth
            bend = sum(Decimal(t) * (Decimal(t) + 1) * term for t, term in zip(times, terms, strict=True)) / growth**2
            below = slope * slope - value * bend
            if not below:
                break
            step = value * slope / below
            found -= step
            if found <= -1 or abs(found - Decimal(rate)) > Decimal("1e-7") * growth:
                return rate
            if abs(step) <= Decimal("1e-14") * growth:
                break
        return float(found) if abs(found) > _NOTHING else 0.0


def _status(rates: tuple[float, ...]) -> str:
    return "none" if not rates else "unique" if len(rates) == 1 else "multiple"


def grid(low: float, high: float) -> Floats:
    """Dense where rates of business lie, and out to both bounds."""
    parts = [np.linspace(low, high, 2_001), np.linspace(-3.0, 3.0, 6_001), np.array([0.0])]
    # A stable sort merges runs, which is what these are: it is some twenty times faster than any other.
    points = np.sort(np.concatenate(parts), kind="stable")
    return points[(points >= low) & (points <= high) & (np.diff(points, prepend=-math.inf) > 0)]


def scan(value: Curve, exact: Callable[[float], float], points: Floats) -> list[float]:
    """Roots of a curve within [-1, 1], ascending: crossings, and touches within rounding.

    Args:
        value: the curve on many points at once.
        exact: the curve at one point, summed without loss.
        points: where to look, ascending.
    """
    heights = value(points)
    signs = np.sign(heights)
    zero = np.abs(heights) <= _ROUNDING
    crossings = np.flatnonzero((signs[1:] * signs[:-1] < 0) & ~zero[1:] & ~zero[:-1])
    found = [s for place in crossings for s in crossing(exact, float(points[place]), float(points[place + 1]))]
    # A row of zeros is a curve that fades out, not a row of roots.
    beside = np.convolve(zero, [1, 0, 1], "same") > 0
    found += [float(points[place]) for place in np.flatnonzero(zero & ~beside)]
    size = np.abs(heights)
    dips = np.flatnonzero((size[1:-1] < size[:-2]) & (size[1:-1] < size[2:])) + 1
    for place in dips:
        if signs[place - 1] == signs[place] == signs[place + 1] and not zero[place]:
            found += _inside(value, exact, float(points[place - 1]), float(points[place + 1]))
    return _distinct(sorted(found))


def _distinct(found: list[float]) -> list[float]:
    distinct: list[float] = []
    for s in found:
        if not distinct or abs(s - distinct[-1]) > 1e-9 * max(1.0, abs(s)):
            distinct.append(s)
    return distinct


def crossing(exact: Callable[[float], float], low: float, high: float) -> list[float]:
    """The crossing between two points, to the last bits; nothing where they are on one side of zero.

    Chandrupatla's method (1997): interpolates where the curve is smooth enough and halves where it is not, so that it
    cannot run away.
    """
    here, there = low, high
    f_here, f_there = exact(here), exact(there)
    if f_here * f_there > 0:
        return []
    part = 0.5
    for _ in range(_MOST_HALVINGS):
        if f_here == 0 or f_there == 0:
            break
        point = here + part * (there - here)
        height = exact(point)
        if (height < 0) == (f_here < 0):
            before, f_before = here, f_here
        else:
            before, f_before, there, f_there = there, f_there, here, f_here
        here, f_here = point, height
        least = (2 * sys.float_info.epsilon * abs(here) + _STILL) / abs(there - here)
        if least > 0.5:
            break
        place, share = (here - there) / (before - there), (f_here - f_there) / (f_before - f_there)
        part = 0.5
        if share**2 < place and (1 - share) ** 2 < 1 - place:
            part = f_here / (f_there - f_here) * f_before / (f_there - f_before)
            part += (before - here) / (there - here) * f_here / (f_before - f_here) * f_there / (f_before - f_there)
        part = min(max(part, least), 1 - least)
    return [here if abs(f_here) < abs(f_there) else there]


def _inside(value: Curve, exact: Callable[[float], float], low: float, high: float) -> list[float]:
    """Roots in a dip that the grid saw on one side of zero only: two close crossings, one touch, or none."""
    sign = math.copysign(1.0, exact(low))
    left, right, bottom = low, high, low
    while right - left > 1e-9 * max(1.0, abs(left)):
        points = np.linspace(left, right, _PARTS + 1)
        place = int(np.argmin(sign * value(points)))
        bottom = float(points[place])
        left, right = float(points[max(place - 1, 0)]), float(points[min(place + 1, _PARTS)])
    depth = sign * exact(bottom)
    if depth < -_ROUNDING:
        return [*crossing(exact, low, bottom), *crossing(exact, bottom, high)]
    return [bottom] if depth <= _TOUCHES else []
