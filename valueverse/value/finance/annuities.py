"""The time value of money: any one of rate, nper, pmt, pv, fv from the other four. Cash paid out is negative.

pv (1 + r)^n + pmt (1 + r w) ((1 + r)^n - 1) / r + fv = 0, with w = 1 if payments are made when a period begins.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from valueverse.value.finance.roots import Roots, crossing, grid, scan, sign_changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_FAR = 30.0
"""Rates are looked for in ln(1 + r) up to here: from -1 + 10^-13 to 10^13."""


def _growth(rate: float, nper: float) -> float:
    return math.exp(nper * math.log1p(rate))


def _annuity(rate: float, nper: float, begins: bool) -> float:
    """What a payment of 1 in each period grows to."""
    if rate == 0:
        return nper
    return (1 + rate * begins) * math.expm1(nper * math.log1p(rate)) / rate


def _discount(rate: float, nper: float) -> float:
    return math.exp(-nper * math.log1p(rate))


def _worth(rate: float, nper: float, begins: bool) -> float:
    """What a payment of 1 in each period is worth now."""
    if rate == 0:
        return nper
    return (1 + rate * begins) * -math.expm1(-nper * math.log1p(rate)) / rate


def fv(rate: float, nper: float, pmt: float, pv: float, *, begins: bool) -> float:
    """Future value."""
    return -math.fsum((pv * _growth(rate, nper), pmt * _annuity(rate, nper, begins)))


def pv(rate: float, nper: float, pmt: float, fv: float, *, begins: bool) -> float:
    """Present value."""
    return -math.fsum((fv * _discount(rate, nper), pmt * _worth(rate, nper, begins)))


def pmt(rate: float, nper: float, pv: float, fv: float, *, begins: bool) -> float | None:
    """Payment per period; None for no periods."""
    if rate > 0 and nper > 0:
        # Seen from now: a loan without end has a payment, though what it would grow to is beyond any number.
        return -math.fsum((pv, fv * _discount(rate, nper))) / _worth(rate, nper, begins)
    annuity = _annuity(rate, nper, begins)
    return -math.fsum((pv * _growth(rate, nper), fv)) / annuity if annuity else None


def nper(rate: float, pmt: float, pv: float, fv: float, *, begins: bool) -> float | None:
    """Number of periods; None where no number of them makes the ends meet."""
    if rate == 0:
        return -math.fsum((pv, fv)) / pmt if pmt else None
    payment = pmt * (1 + rate * begins) / rate
    above, below = payment - fv, payment + pv
    if below == 0 or above / below <= 0:
        return None
    return math.log(above / below) / math.log1p(rate)


def rate(nper: float, pmt: float, pv: float, fv: float, *, begins: bool) -> Roots:
    """Every rate per period above -1 that makes the ends meet."""
    if pv == pmt == fv == 0:
        return Roots((), "any", 0)

    def exact(s: float) -> float:
        terms = [float(term[0]) for term in _terms(np.array([s]), nper, (pv, pmt, fv), begins)]
        size = math.fsum(map(abs, terms))
        return math.fsum(terms) / size if size else 0.0

    def curve(s: Floats) -> Floats:
        terms = np.stack(_terms(s, nper, (pv, pmt, fv), begins))
        size = np.abs(terms).sum(axis=0)
        return np.asarray(terms.sum(axis=0) / np.where(size > 0, size, 1.0))

    rates = tuple(math.expm1(s) for s in _places(curve, exact, nper, (pv, pmt, fv), begins))
    status = "none" if not rates else "unique" if len(rates) == 1 else "multiple"
    return Roots(rates, status, int(pv * fv < 0 or pv * pmt < 0 or pmt * fv < 0))


def _terms(s: Floats, nper: float, money: tuple[float, float, float], begins: bool) -> list[Floats]:
    """Worths of pv, the payments and fv at s = ln(1 + rate).

    Seen from the later end where money shrinks and from the earlier where it grows, so that no term overflows.
    """
    now, paid, then = money
    far = np.exp(-nper * np.abs(s))
    step = np.where(s == 0, 1.0, -np.expm1(-np.abs(s)))
    periods = np.where(s == 0, nper, -np.expm1(-nper * np.abs(s)) / step)
    # The payments stand one period nearer to the end they are seen from, or as far as it.
    payments = paid * periods * np.where((s < 0) != begins, 1.0, np.exp(-np.abs(s)))
    return [np.where(s >= 0, now, now * far), payments, np.where(s >= 0, then * far, then)]


def _places(
    curve: Callable[[Floats], Floats],
    exact: Callable[[float], float],
    nper: float,
    money: tuple[float, float, float],
    begins: bool,
) -> list[float]:
    """Where the curve is zero."""
    now, paid, then = money
    # Times (e^s - 1) the curve has these coefficients in falling powers of e^s, and one root more, at s = 0: by
    # Descartes' rule two changes of sign leave one rate at most, so that there is nothing to search for.
    powers = (now + paid, -now, then - paid, -then) if begins else (now, paid - now, then, -paid - then)
    if nper > 1 and sign_changes(np.array(powers)) == 2:
        return [0.0] if exact(0.0) == 0 else crossing(exact, -_FAR, _FAR)
    near = np.linspace(-600.0 / max(nper, 1.0), 600.0 / max(nper, 1.0), 2_001)
    return scan(curve, exact, np.unique(np.concatenate([grid(-_FAR, _FAR), near[np.abs(near) <= _FAR]])))
