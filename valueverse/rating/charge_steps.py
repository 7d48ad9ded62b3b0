"""The chain of a charge around its price: convert -> round -> minus included; then discount -> maximum ->
minimum -> round.

Every product and quotient is guarded: what would leave the exact range becomes null, and a line with a null
is reported as ``out_of_range``. An overflow would raise for the whole frame, and one tenant's number must
never stop the others.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from valueverse.money import round_exact
from valueverse.rating.tiered import EXACT_ZERO, ONE, exact_portion, started_blocks
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from valueverse.money import RoundingMode

QUANTITY_LIMIT = pl.lit(Decimal(10) ** 12).cast(EXACT)
AMOUNT_LIMIT = pl.lit(Decimal(10) ** 19).cast(EXACT)
_HUNDRED = pl.lit(100).cast(EXACT)


def with_priced_units(rows: pl.DataFrame, **quantities: str) -> pl.DataFrame:
    """Add metered units in priced units: divided or multiplied, then rounded to whole units where the charge says so.

    A quantity out of range becomes null. The steps are columns of their own, and only those that some row asks for: as
    one expression they would repeat each other hundreds of times.

    Args:
        rows: divide_by, multiply_by, convert_round (of the charge), and quantities (EXACT).
        quantities: name of a column to add -> name of its quantity.
    """
    modes = set(rows["convert_round"].unique()) - {None, "none"}
    converts = rows.select(pl.any_horizontal(pl.col("divide_by", "multiply_by").is_not_null().any())).item()
    found = rows.with_columns(
        _within_range(pl.col(name), converts=converts).alias(to) for to, name in quantities.items()
    )
    if converts:
        found = found.with_columns(_scaled(pl.col(to), some_up="up" in modes).alias(to) for to in quantities)
    if modes:
        found = found.with_columns(_rounded_units(pl.col(to), modes).alias(to) for to in quantities)
    return found


def _within_range(quantity: pl.Expr, *, converts: bool) -> pl.Expr:
    size = quantity.abs()
    fits = size < QUANTITY_LIMIT
    if converts:
        factor, divisor = pl.col("multiply_by"), pl.col("divide_by")
        fits &= factor.is_null() | (size < QUANTITY_LIMIT / pl.max_horizontal(factor, ONE))
        fits &= divisor.is_null() | (size < QUANTITY_LIMIT * pl.min_horizontal(divisor, ONE))
    return pl.when(fits).then(quantity)


def _scaled(quantity: pl.Expr, *, some_up: bool) -> pl.Expr:
    factor, divisor = pl.col("multiply_by"), pl.col("divide_by")
    divided = quantity / divisor
    if some_up:
        # The quotient is rounded at 18 decimals: its ceiling may be another one.
        blocks = started_blocks(quantity, divisor)
        divided = pl.when(pl.col("convert_round") == "up").then(blocks).otherwise(divided)
    return (
        pl.when(divisor.is_not_null())
        .then(divided)
        .when(factor.is_not_null())
        .then(quantity * factor)
        .otherwise(quantity)
    )


def _rounded_units(scaled: pl.Expr, modes: set[str]) -> pl.Expr:
    ways = {
        "up": scaled.ceil(),
        "down": scaled.floor(),
        "half_up": round_exact(scaled, 0, "half_up"),
        "half_even": round_exact(scaled, 0, "half_even"),
    }
    result = scaled
    for mode in sorted(modes):
        result = pl.when(pl.col("convert_round") == mode).then(ways[mode]).otherwise(result)
    return result


def after_included(parts: pl.DataFrame) -> pl.DataFrame:
    """Take ``included`` off the first units of each line's parts (line, value, included), in their order."""
    total = pl.col("value").cum_sum().over("line").cast(EXACT)
    rest = pl.max_horizontal(total - pl.col("included"), EXACT_ZERO)
    before = pl.max_horizontal(total - pl.col("value") - pl.col("included"), EXACT_ZERO)
    return parts.with_columns(pl.when(pl.col("included") > 0).then(rest - before).otherwise("value").alias("value"))


def charge_bound(name: str) -> pl.Expr:
    """A charge's maximum or minimum, scaled to the days used of a partial period."""
    scaled = pl.col(name) * pl.col("used_days").cast(EXACT) / pl.col("full_days").cast(EXACT)
    return pl.when(pl.col("full_days").is_not_null()).then(scaled).otherwise(name)


def with_adjusted(rows: pl.DataFrame, amount: str, name: str) -> pl.DataFrame:
    """Add ``name``: ``amount`` after discount, then maximum, then minimum (left out while more follows), both scaled to
    the days used; null where it is out of range.

    Each step is a column: as one expression each would repeat the steps before it several times.
    """
    safe = pl.when(pl.col(amount).abs() < AMOUNT_LIMIT).then(amount)
    discounted = pl.col(name) - exact_portion(pl.col(name), pl.col("discount_percent"), _HUNDRED)
    capped = pl.when(pl.col(name) > pl.col("_highest")).then("_highest").otherwise(name)
    raised = pl.when(pl.col("final") & (pl.col(name) < pl.col("_lowest"))).then("_lowest").otherwise(name)
    bounds = charge_bound("maximum").alias("_highest"), charge_bound("minimum").alias("_lowest")
    found = rows.with_columns(safe.alias(name), *bounds)
    for step in (discounted, capped, raised):
        found = found.with_columns(step.alias(name))
    return found.drop("_highest", "_lowest")


def round_amounts(lines: pl.DataFrame, amount: str) -> pl.Expr:
    """The amount rounded to each line's decimals in each line's mode: one expression per distinct pair."""
    policies = lines.select("rounding_mode", "decimals").unique(maintain_order=True).rows()
    result: pl.Expr = pl.lit(None, EXACT)
    for mode, decimals in policies:
        rule: RoundingMode = mode
        mine = (pl.col("rounding_mode") == mode) & (pl.col("decimals") == decimals)
        result = pl.when(mine).then(round_exact(pl.col(amount), int(decimals), rule)).otherwise(result)
    return result.cast(EXACT)
