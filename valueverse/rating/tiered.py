"""``graduated``, ``volume`` and ``graduated_percentage``.

``up_to`` is inclusive on decimals: 10.5 lies in the tier after 10. A tier's ``flat`` is due when the tier is
entered, the first tier's also at zero usage unless ``bill_flat_at_zero`` is false; it is never prorated. With
``per``, ``unit`` is the price of one started block, counted from the tier's lower bound (volume: from 0).
``cap`` bounds what one tier can cost.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from valueverse.rating.price_book import ChargeBook

EXACT_ZERO = pl.lit(0).cast(EXACT)
ONE = pl.lit(1).cast(EXACT)
_HUNDRED = pl.lit(100).cast(EXACT)
_NEEDED = ("line", "charge", "units", "priced", "top", "bill_flat_at_zero")
_MOST_BLOCKS = pl.lit(10**12).cast(EXACT)
_MOST_PER_TIER = pl.lit(10**15).cast(EXACT)
_SMALL = pl.lit(10**9).cast(EXACT)


def exact_portion(whole: pl.Expr, part: pl.Expr, of: pl.Expr) -> pl.Expr:
    """``whole x part / of`` without overflow where the factors are large; exact to the last place where they
    are not.
    """
    small = (whole.abs() < _SMALL) & (part.abs() < _SMALL)
    product = pl.when(small).then(whole) * pl.when(small).then(part)
    share = pl.when(~small).then(whole) * (part / of)
    return pl.when(of == part).then(whole).when(small).then(product / of).otherwise(share)


def started_blocks(units: pl.Expr, size: pl.Expr) -> pl.Expr:
    """Blocks of ``size`` that ``units`` start: the ceiling of the exact quotient; null beyond 10^12 blocks.

    The quotient is rounded at 18 decimals; the product shows whether that rounding hid a started block, or
    made one.
    """
    safe = pl.when(units.abs() < _MOST_BLOCKS * pl.min_horizontal(size, ONE)).then(units)
    blocks = (safe / size).ceil()
    return (
        pl.when(blocks * size < safe)
        .then(blocks + ONE)
        .when((blocks - ONE) * size >= safe)
        .then(blocks - ONE)
        .otherwise(blocks)
    )


def _amount(in_tier: pl.Expr, entered: pl.Expr, *, percent: bool) -> pl.Expr:
    blocks = started_blocks(in_tier, pl.col("per"))
    by_block = blocks * pl.col("unit")
    by_block = pl.when(by_block.abs() < _MOST_PER_TIER).then(by_block)
    by_unit = in_tier * pl.col("unit")
    # Divided last: a rate of 17 or 18 decimals would lose the last two as a price of one unit.
    by_unit = by_unit / _HUNDRED if percent else by_unit
    priced = pl.when(pl.col("per").is_null()).then(by_unit).otherwise(by_block)
    full = priced + pl.when(entered).then(pl.col("flat")).otherwise(EXACT_ZERO)
    return pl.when(full > pl.col("cap")).then("cap").otherwise(full)


def graduated(lines: pl.DataFrame, book: ChargeBook, *, percent: bool) -> pl.DataFrame:
    """One row per line and tier entered.

    Args:
        lines: line, charge, units (choose the tiers), priced (units to pay: spread over the tiers as
            ``units`` are), top (highest level reached, for flats), bill_flat_at_zero.
        percent: the tiers' units are money, and their ``unit`` in the book is a rate in percent.

    Returns:
        line, tier, from, to, quantity, unit, flat, amount.
    """
    walked = (
        lines.select(_NEEDED)
        .join(book.tiers, on="charge")
        .filter((pl.col("top") > pl.col("lower")) | (pl.col("tier") == 0))
    )
    inside = pl.max_horizontal(pl.min_horizontal("units", "upper") - pl.col("lower"), EXACT_ZERO)
    entered = (pl.col("top") > pl.col("lower")) | ((pl.col("tier") == 0) & pl.col("bill_flat_at_zero"))
    spread = exact_portion(pl.col("priced"), inside, pl.col("units"))
    nothing_left = pl.when(pl.col("tier") == 0).then(pl.col("priced")).otherwise(EXACT_ZERO)
    in_tier = (
        pl.when(pl.col("priced") == pl.col("units"))
        .then(inside)
        .when(pl.col("units") > 0)
        .then(spread)
        .otherwise(nothing_left)
    )
    return _shown(walked, in_tier, entered, percent=percent)


def graduated_by_events(lines: pl.DataFrame, events: pl.DataFrame, book: ChargeBook, *, percent: bool) -> pl.DataFrame:
    """``graduated`` where each event's ``prorated`` part is split over the tiers as its ``value`` is.

    Args:
        lines, percent: as for ``graduated``.
        events: line, value, prorated, before (running total before the event), in time order within a line. A
            negative value unwinds from the top.
    """
    low = pl.min_horizontal("before", pl.col("before") + pl.col("value"))
    high = pl.max_horizontal("before", pl.col("before") + pl.col("value"))
    overlap = pl.max_horizontal(pl.min_horizontal("high", "upper") - pl.max_horizontal("low", "lower"), EXACT_ZERO)
    parts = (
        events.with_columns(low.alias("low"), high.alias("high"))
        .join(lines.select("line", "charge"), on="line")
        .join(book.tiers.select("charge", "tier", "lower", "upper"), on="charge")
        .with_columns(overlap.alias("overlap"))
        .filter(pl.col("overlap") > 0)
        .group_by("line", "tier")
        .agg(exact_portion(pl.col("prorated"), pl.col("overlap"), pl.col("value").abs()).sum().alias("in_tier"))
    )
    walked = (
        lines.select(_NEEDED)
        .join(book.tiers, on="charge")
        .filter((pl.col("top") > pl.col("lower")) | (pl.col("tier") == 0))
        .join(parts, on=["line", "tier"], how="left")
        .with_columns(pl.col("in_tier").fill_null(0).cast(EXACT))
    )
    entered = (pl.col("top") > pl.col("lower")) | ((pl.col("tier") == 0) & pl.col("bill_flat_at_zero"))
    return _shown(walked, pl.col("in_tier"), entered, percent=percent)


def volume(lines: pl.DataFrame, book: ChargeBook) -> pl.DataFrame:
    """One row per line: the tier that ``units`` fall into prices ``priced`` units. Columns as for
    ``graduated``.
    """
    chosen = (
        lines.select(_NEEDED)
        .join(book.tiers, on="charge")
        .filter(
            ((pl.col("units") > pl.col("lower")) | (pl.col("tier") == 0))
            & (pl.col("upper").is_null() | (pl.col("units") <= pl.col("upper")))
        )
    )
    entered = (pl.col("units") > 0) | pl.col("bill_flat_at_zero")
    return _shown(chosen, pl.col("priced"), entered)


def _shown(rows: pl.DataFrame, in_tier: pl.Expr, entered: pl.Expr, *, percent: bool = False) -> pl.DataFrame:
    unit = pl.col("unit") / _HUNDRED if percent else pl.col("unit")
    return rows.with_columns(in_tier.alias("in_tier")).select(
        "line",
        "tier",
        pl.col("lower").alias("from"),
        pl.col("upper").alias("to"),
        pl.col("in_tier").alias("quantity"),
        unit.alias("unit"),
        pl.when(entered).then(pl.col("flat")).otherwise(EXACT_ZERO).alias("flat"),
        _amount(pl.col("in_tier"), entered, percent=percent).alias("amount"),
    )
