"""Net present value, internal rates of return, payback (conventions: docs/finance.md)."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from valueverse.value.finance.roots import TARGET, Roots, roots_of_payments, sign_changes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_STEPS = 40
_STILL = 1e-15
_BLOCK = 8_192
"""Streams that one thread takes at a time: what Newton's method goes over again and again stays in its cache."""


def npv(rate: float, cashflows: Sequence[float], first_period: int = 0) -> float:
    """Sum of cashflows[k] / (1 + rate) ** (k + first_period), added without loss.

    Args:
        rate: per period, above -1.
        cashflows: one per period.
        first_period: 0 (the first flow is not discounted) or 1 (spreadsheets).
    """
    growth = 1.0 + rate
    # Powers below 1: a far flow fades out instead of overflowing what it is divided by.
    return math.fsum(flow * growth ** -(place + first_period) for place, flow in enumerate(cashflows) if flow)


def irr(cashflows: Sequence[float]) -> Roots:
    """Every rate above -1 at which the cashflows are worth nothing."""
    amounts = np.asarray(cashflows, dtype=np.float64)
    return roots_of_payments(np.arange(len(amounts), dtype=np.float64), amounts)


def irr_batch(cashflows: Floats, per_year: float = 1) -> Floats:
    """The internal rate of each row (flows x periods), nearest to 10 % where there are several; NaN where none.

    Rows that change sign once have one root, which Newton's method finds for all of them at once; any other row, or one
    that does not settle, is worked out by ``irr``.

    Args:
        cashflows: one row per stream.
        per_year: periods per year; the 10 % are annual.
    """
    blocks = [cashflows[start : start + _BLOCK] for start in range(0, len(cashflows), _BLOCK)]
    with ThreadPoolExecutor(pl.thread_pool_size()) as threads:
        return np.concatenate([np.empty(0), *threads.map(partial(_rates, per_year=per_year), blocks)])


def _rates(cashflows: Floats, per_year: float) -> Floats:
    rows = np.ascontiguousarray(_begun(cashflows).T)
    with np.errstate(all="ignore"):
        rates, settled = _newton(rows)
    done = _changes_once(np.sign(rows)) & settled & (rates > -1)
    for place in np.flatnonzero(~done):
        found = irr(cashflows[place]).nearest(TARGET / per_year)
        rates[place] = np.nan if found is None else found
    return rates


def _begun(cashflows: Floats) -> Floats:
    """Rows moved so that each begins with its first payment: nothing paid at first looks like a rate without end."""
    first = np.argmax(cashflows != 0, axis=1)
    if not first.any():
        return cashflows
    places = np.arange(cashflows.shape[1]) + first[:, None]
    moved = np.take_along_axis(cashflows, np.minimum(places, cashflows.shape[1] - 1), axis=1)
    return np.where(places < cashflows.shape[1], moved, 0.0)


def _changes_once(signs: Floats) -> NDArray[np.bool_]:
    changes = np.zeros(signs.shape[1], dtype=np.int64)
    last = signs[0].copy()
    for row in signs[1:]:
        changes += (row * last) < 0
        last = np.where(row != 0, row, last)
    return np.asarray(changes == 1)


def _newton(rows: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Newton's method in v = 1 / (1 + r) on the polynomial of every column at once."""
    v = np.full(rows.shape[1], 1 / 1.1)
    settled = np.zeros(rows.shape[1], dtype=np.bool_)
    height, slope = np.empty_like(v), np.empty_like(v)
    for _ in range(_STEPS):
        np.copyto(height, rows[-1])
        slope.fill(0.0)
        for row in rows[-2::-1]:
            slope *= v
            slope += height
            height *= v
            height += row
        step = height / slope
        moved = v - step
        # A step out of the domain is cut to half the way to its edge.
        np.copyto(moved, 0.5 * v, where=~(moved > 0))
        # What has settled stays: a stream's rate may not depend on which others are worked out beside it.
        np.copyto(v, moved, where=~settled)
        settled |= np.abs(step) <= 4 * _STILL * np.abs(v)
        if settled.all():
            break
    size = np.abs(rows[-1])
    for row in rows[-2::-1]:
        size = size * v + np.abs(row)
    return 1 / v - 1, settled | (np.abs(height) <= 1e-14 * size)


def dated_value(rate: float, years: Sequence[float], amounts: Sequence[float]) -> float:
    """Sum of amounts x (1 + rate) ** -years: XNPV with years from the earliest date, XNFV with years to the latest."""
    growth = 1.0 + rate
    return math.fsum(amount * growth**-year for year, amount in zip(years, amounts, strict=True) if amount)


def xirr(years: Sequence[float], amounts: Sequence[float]) -> Roots:
    """``irr`` at times in years; their order does not matter."""
    return roots_of_payments(np.asarray(years, dtype=np.float64), np.asarray(amounts, dtype=np.float64))


def mirr(cashflows: Sequence[float], finance_rate: float, reinvest_rate: float) -> float | None:
    """Modified internal rate: flows in reinvested, flows out financed; None unless there are both.

    (FV of the flows in at reinvest_rate / PV of the flows out at finance_rate) ** (1 / (n - 1)) - 1 for n flows.
    """
    last = len(cashflows) - 1
    earned = math.fsum(flow * (1 + reinvest_rate) ** (last - k) for k, flow in enumerate(cashflows) if flow > 0)
    spent = -math.fsum(flow * (1 + finance_rate) ** -k for k, flow in enumerate(cashflows) if flow < 0)
    if not (earned > 0 and spent > 0) or last < 1:
        return None
    return math.expm1(math.log(earned / spent) / last)


def payback(cashflows: Sequence[float], discount_rate: float | None = None) -> float | None:
    """``payback_batch`` of one stream; None: never."""
    found = float(payback_batch(np.array([cashflows], dtype=np.float64), discount_rate)[0])
    return None if math.isnan(found) else found


def payback_batch(cashflows: Floats, discount_rate: float | None = None) -> Floats:
    """Periods until the running total of each row reaches 0, linear inside the crossing one; NaN where it never does.

    The first flow is period 0. ``discount_rate`` discounts flow k by k periods first. Periods before anything is paid
    count, but nothing is paid back in them.
    """
    places = np.arange(cashflows.shape[1])
    growth = 1.0 + (discount_rate or 0.0)
    flows = cashflows * np.array([growth**-place for place in range(cashflows.shape[1])])
    start = np.argmax(flows != 0, axis=1)
    totals = np.cumsum(flows, axis=1)
    # 110 a year from now at 10 % pays back 100, whatever the last bit of 110 / 1.1 says.
    nothing = -1e-12 * np.cumsum(np.abs(flows), axis=1)[:, -1]
    paid = (totals >= nothing[:, None]) & (places >= start[:, None])
    rows, at = np.arange(len(flows)), np.argmax(paid, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        part = np.minimum(-totals[rows, at - 1] / flows[rows, at], 1.0)
    found = np.where(at == start, 0.0, at - 1 + part)
    return np.where(paid.any(axis=1), found, np.nan)


def periodic_rate(annual_effective: float, periods_per_year: float) -> float:
    """(1 + annual) ** (1 / periods) - 1: the effective rate of one period."""
    return math.expm1(math.log1p(annual_effective) / periods_per_year)


__all__ = [
    "dated_value", "irr", "irr_batch", "mirr", "npv", "payback", "payback_batch", "periodic_rate", "sign_changes",
    "xirr",
]  # fmt: skip
