"""``included``, ``maximum`` and ``minimum`` of a charge with ``split_by``: once per charge, over all its lines.

Included units go to the lines in the order of their labels. A maximum is spread over the lines pro rata, so that the
shown amounts add up to it; what a minimum lacks is a line of its own (contracts.md, section 3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.money import largest_remainder
from valueverse.rating import EXACT_ZERO, charge_bound, exact_portion, round_amounts, with_priced_units
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from valueverse.invoicing.lines.plan_terms import Terms

_CHARGE = ["stretch", "charge"]
_CONVERSION = ("divide_by", "multiply_by", "convert_round", "included")
_BOUNDS = ("maximum", "minimum", "rounding_mode")


def _shared(terms: Terms) -> pl.DataFrame:
    """The charges concerned, with their limits."""
    split = [charge for charges in terms.splits.values() for charge in charges]
    limited = (pl.col("included") > 0) | pl.col("maximum").is_not_null() | pl.col("minimum").is_not_null()
    return terms.book.charges.filter(pl.col("charge").is_in(split), limited.fill_null(value=False)).select(
        "charge", *_CONVERSION, *_BOUNDS
    )


def with_shared_included(lines: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Add ``included_left`` (units that the line may still take; null: all) and ``bounded`` to lines."""
    shared = _shared(terms)
    own = lines.with_columns(pl.lit(None, EXACT).alias("included_left"), pl.lit(value=True).alias("bounded"))
    if shared.is_empty():
        return own
    converted = with_priced_units(lines.join(shared, on="charge").sort(*_CHARGE, "label"), units="quantity")
    split = (
        converted.with_columns(pl.max_horizontal("units", EXACT_ZERO).alias("units"))
        .with_columns(
            (pl.col("units").cum_sum().over(_CHARGE) - pl.col("units")).cast(EXACT).alias("taken"),
        )
        .select("line", pl.max_horizontal(pl.col("included") - pl.col("taken"), EXACT_ZERO).alias("left"))
    )
    return (
        own.join(split, on="line", how="left", maintain_order="left")
        .with_columns(
            pl.col("left").alias("included_left"),
            pl.col("left").is_null().alias("bounded"),
        )
        .drop("left")
    )


def within_shared_bounds(priced: pl.DataFrame, terms: Terms) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines with amounts cut to their charge's maximum, and the lines that make up for its minimum.

    Args:
        priced: lines with amount, amount_rounded, used_days, full_days, decimals.
        terms: theirs.
    """
    shared = _shared(terms)
    mine = priced.join(shared.select("charge", *_BOUNDS), on="charge")
    if mine.is_empty():
        return priced, priced.clear()
    total = pl.col("amount").sum().over(_CHARGE)
    sums = mine.with_columns(
        charge_bound("maximum").alias("maximum"), charge_bound("minimum").alias("minimum"), total.alias("total")
    )
    over = sums.filter(pl.col("total") > pl.col("maximum"))
    cut = _cut(over)
    rest = priced.join(cut.select("line"), on="line", how="anti")
    bounded = pl.concat([rest, cut.select(rest.columns).cast(rest.schema)]).sort("line")
    # While more of the period follows, no minimum is due.
    final = pl.col("final") if "final" in sums.columns else pl.lit(value=True)
    return bounded, _minimums(sums.filter(final, pl.col("total") < pl.col("minimum")), priced)


def _cut(over: pl.DataFrame) -> pl.DataFrame:
    scale = pl.lit(10).cast(pl.Int64).pow(pl.col("decimals")).cast(pl.Int64).cast(EXACT)
    cut = over.with_columns(exact_portion(pl.col("amount"), pl.col("maximum"), pl.col("total")).alias("amount"))
    shown = (round_amounts(cut, "maximum") * scale).cast(pl.Int64)
    minor = largest_remainder(pl.col("amount") * scale, shown, _CHARGE, "line")
    return cut.with_columns((minor.cast(EXACT) / scale).alias("amount_rounded"))


def _minimums(under: pl.DataFrame, priced: pl.DataFrame) -> pl.DataFrame:
    """One line per charge that lacks something of its minimum."""
    shown = round_amounts(under, "minimum")
    first = under.with_columns(
        (pl.col("minimum") - pl.col("total")).alias("amount"),
        (shown - pl.col("amount_rounded").sum().over(_CHARGE)).alias("amount_rounded"),
        pl.concat_str(pl.lit("minimum of "), "description").alias("description"),
        pl.lit("").alias("label"),
        pl.lit(None, EXACT).alias("quantity"),
        pl.lit(None, pl.Int64).alias("event_count"),
        pl.lit(None, pl.String).alias("meter"),
        pl.lit(None, pl.String).alias("problem"),
    ).unique(_CHARGE, keep="first", maintain_order=True)
    return first.select(priced.columns).cast(priced.schema)
