"""The time value of money: any one of rate, nper, pmt, pv, fv from the other four. Cash paid out is negative.

pv (1 + r)^n + pmt (1 + r w) ((1 + r)^n - 1) / r + fv = 0, with w = 1 if payments are made when a period begins.
"""

from __future__ import annotations

import math

import numpy as np

from valueverse.value.finance.roots import Roots, grid, scan

_FAR = 30.0
"""Rates are looked for in ln(1 + r) up to here: from -1 + 10^-13 to 10^13."""


def _growth(rate: float, nper: float) -> float:
    return math.exp(nper * math.log1p(rate))


def _annuity(rate: float, nper: float, begins: bool) -> float:
    """What a payment of 1 in each period grows to."""
    if rate == 0:
        return nper
    return (1 + rate * begins) * math.expm1(nper * math.log1p(rate)) / rate


def fv(rate: float, nper: float, pmt: float, pv: float, *, begins: bool) -> float:
    """Future value."""
    return -math.fsum((pv * _growth(rate, nper), pmt * _annuity(rate, nper, begins)))


def pv(rate: float, nper: float, pmt: float, fv: float, *, begins: bool) -> float:
    """Present value."""
    return -math.fsum((fv, pmt * _annuity(rate, nper, begins))) / _growth(rate, nper)


def pmt(rate: float, nper: float, pv: float, fv: float, *, begins: bool) -> float | None:
    """Payment per period; None for no periods."""
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
        # Seen from the later end where money shrinks and from the earlier where it grows, so that no term overflows;
        # and a share of the absolute terms, or what fades out would pass for a root.
        far = math.exp(-nper * abs(s))
        periods = nper if s == 0 else math.expm1(-nper * abs(s)) / math.expm1(-abs(s))
        # The payments stand one period nearer to the end they are seen from, or as far as it.
        paid = pmt * periods * (1.0 if (s < 0) != begins else math.exp(-abs(s)))
        terms = (pv, paid, fv * far) if s >= 0 else (pv * far, paid, fv)
        size = math.fsum(map(abs, terms))
        return math.fsum(terms) / size if size else 0.0

    near = np.linspace(-600.0 / max(nper, 1.0), 600.0 / max(nper, 1.0), 2_001)
    points = np.unique(np.concatenate([grid(-_FAR, _FAR), near[np.abs(near) <= _FAR]]))
    curve = np.vectorize(exact, otypes=[np.float64])
    rates = tuple(math.expm1(s) for s in scan(curve, exact, points))
    status = "none" if not rates else "unique" if len(rates) == 1 else "multiple"
    return Roots(rates, status, int(pv * fv < 0 or pv * pmt < 0 or pmt * fv < 0))
