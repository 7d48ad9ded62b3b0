"""The time value of money: any one of rate, nper, pmt, pv, fv from the other four. Cash paid out is negative.

pv (1 + r)^n + pmt (1 + r w) ((1 + r)^n - 1) / r + fv = 0, with w = 1 if payments are made when a period begins.
"""

from __future__ import annotations

import math

import numpy as np

from valueverse.value.finance.roots import Roots, scan

_FAR = 50.0


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
    total = abs(pv) + abs(pmt) * max(nper, 1) + abs(fv)
    if total == 0:
        return Roots((), "any", 0)

    def exact(s: float) -> float:
        grown = nper * s
        periods = nper if s == 0 else math.expm1(grown) / math.expm1(s)
        paid = pmt * periods * (math.exp(s) if begins else 1.0)
        # Seen from the later end where money grows, so that no term overflows.
        return math.fsum((pv * math.exp(grown), paid, fv)) * math.exp(-max(grown, 0.0))

    high = min(_FAR, 600.0 / max(nper, 1.0))
    curve = np.vectorize(exact, otypes=[np.float64])
    found = scan(curve, exact, -high, high, total)
    rates = tuple(math.expm1(s) for s in found)
    status = "none" if not rates else "unique" if len(rates) == 1 else "multiple"
    return Roots(rates, status, int(pv * fv < 0 or pv * pmt < 0 or pmt * fv < 0))
