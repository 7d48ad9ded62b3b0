"""Proration: the share of a full period's amount that a part of it owes (billing.md, Time).

Amounts are multiplied first and divided after, so that whole parts add up to the whole wherever 18 decimals can say it.
"""

from __future__ import annotations

import polars as pl

from valueverse.money import EXACT

BASES = ("day", "second", "none")


def used_seconds(start: str = "from", end: str = "to") -> pl.Expr:
    """Exact seconds between two instants, as EXACT (microseconds are kept)."""
    return (pl.col(end) - pl.col(start)).dt.total_microseconds().cast(EXACT) / pl.lit(1_000_000).cast(EXACT)


def share(full_amount: pl.Expr, basis: pl.Expr) -> pl.Expr:
    """``full_amount`` x used / full on the columns of ``periods()``.

    Args:
        full_amount: EXACT amount of one whole period.
        basis: ``day`` (local calendar days), ``second`` (exact time) or ``none`` (the whole amount).
    """
    by_day = full_amount * pl.col("used_days").cast(EXACT) / pl.col("full_days").cast(EXACT)
    by_second = full_amount * used_seconds() / used_seconds("full_from", "full_to")
    return pl.when(basis == "day").then(by_day).when(basis == "second").then(by_second).otherwise(full_amount)
