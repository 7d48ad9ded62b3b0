"""Proration: the share of a full period's amount that a part of it owes (billing.md, Time).

Amounts are multiplied first and divided after, so that whole parts add up to the whole wherever 18 decimals can say it.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING

import polars as pl

from valueverse.schemas.types import EXACT, PLACES

if TYPE_CHECKING:
    from datetime import date

_WIDE = Context(prec=120, rounding=ROUND_HALF_UP)

_LARGEST = Decimal(10) ** 19
_ONE = pl.lit(Decimal(1)).cast(EXACT)

BASES = ("day", "second", "none")


def used_seconds(start: str = "from", end: str = "to") -> pl.Expr:
    """Exact seconds between two instants, as EXACT (microseconds included)."""
    return (pl.col(end) - pl.col(start)).dt.total_microseconds().cast(EXACT) / pl.lit(1_000_000).cast(EXACT)


def prorated_expr(full_amount: pl.Expr, basis: pl.Expr) -> pl.Expr:
    """``full_amount`` x used / full on the columns of ``periods()``.

    Args:
        full_amount: EXACT amount of one whole period.
        basis: ``day`` (local calendar days), ``second`` (exact time) or ``none`` (the whole amount).
    """
    by_day = full_amount * pl.col("used_days").cast(EXACT) / pl.col("full_days").cast(EXACT)
    used, full = used_seconds(), used_seconds("full_from", "full_to")
    # A product beyond the exact range would raise for every row: what would be out of range is divided first.
    small = pl.when(full_amount.abs() < pl.lit(_LARGEST).cast(EXACT) / pl.max_horizontal(used, _ONE)).then(full_amount)
    by_second = pl.coalesce(small * used / full, full_amount / full * used)
    return pl.when(basis == "day").then(by_day).when(basis == "second").then(by_second).otherwise(full_amount)


def prorated_amount(amount: Decimal, used: int, full: int) -> Decimal:
    """``prorated_expr`` of a single amount: multiplied first, divided after, rounded half-up at 18 decimals.

    ``full`` is greater than 0 and in the measure of ``used``: days, or microseconds.
    """
    exactly = _WIDE.divide(_WIDE.multiply(amount, Decimal(used)), Decimal(full))
    return exactly.quantize(Decimal(1).scaleb(-PLACES), context=_WIDE)


def days_30_360(start: date, end: date) -> int:
    """Days between two local dates when every month has 30 (30E/360: the 31st counts as the 30th).

    The European rule is the one by which the parts of a stretch add up to it.
    """
    first, last = ((day.year * 12 + day.month) * 30 + min(day.day, 30) for day in (start, end))
    return last - first


def proration_factor(used: int, full: int) -> Decimal:
    """used / full at 18 decimals, to be shown; amounts are worked out with ``prorated_amount`` instead."""
    return prorated_amount(Decimal(1), used, full)
