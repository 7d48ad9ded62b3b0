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


def priced_units(quantity: pl.Expr) -> pl.Expr:
    """Metered units in priced units: divided or multiplied, then rounded to whole units where the charge says so."""
    factor, divisor = pl.col("multiply_by"), pl.col("divide_by")
    fits = (
        (quantity.abs() < QUANTITY_LIMIT)
        & (factor.is_null() | (quantity.abs() < QUANTITY_LIMIT / pl.max_horizontal(factor, ONE)))
        & (divisor.is_null() | (quantity.abs() < QUANTITY_LIMIT * pl.min_horizontal(divisor, ONE)))
    )
    safe = pl.when(fits).then(quantity)
    scaled = (
        pl.when(divisor.is_not_null())
        .then(safe / divisor)
        .when(factor.is_not_null())
        .then(safe * factor)
        .otherwise(safe)
    )
    ceiling = pl.when(divisor.is_not_null()).then(started_blocks(safe, divisor)).otherwise(scaled.ceil())
    how = pl.col("convert_round")
    return (
        pl.when(how == "up")
        .then(ceiling)
        .when(how == "down")
        .then(scaled.floor())
        .when(how == "half_up")
        .then(round_exact(scaled, 0, "half_up"))
        .when(how == "half_even")
        .then(round_exact(scaled, 0, "half_even"))
        .otherwise(scaled)
    )


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


def adjusted(amount: pl.Expr) -> pl.Expr:
    """Discount, then maximum, then minimum (left out while more follows), both scaled to the days used."""
    highest, lowest = charge_bound("maximum"), charge_bound("minimum")
    safe = pl.when(amount.abs() < AMOUNT_LIMIT).then(amount)
    discounted = safe - exact_portion(safe, pl.col("discount_percent"), _HUNDRED)
    capped = pl.when(discounted > highest).then(highest).otherwise(discounted)
    return pl.when(pl.col("final") & (capped < lowest)).then(lowest).otherwise(capped)


def round_amounts(lines: pl.DataFrame, amount: str) -> pl.Expr:
    """The amount rounded to each line's decimals in each line's mode: one expression per distinct pair."""
    policies = lines.select("rounding_mode", "decimals").unique(maintain_order=True).rows()
    result: pl.Expr = pl.lit(None, EXACT)
    for mode, decimals in policies:
        rule: RoundingMode = mode
        mine = (pl.col("rounding_mode") == mode) & (pl.col("decimals") == decimals)
        result = pl.when(mine).then(round_exact(pl.col(amount), int(decimals), rule)).otherwise(result)
    return result.cast(EXACT)
