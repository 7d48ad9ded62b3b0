"""How much an invoice may come to: beyond it the invoice is held with ``out_of_range``.

An overflow raises for the whole frame, so a range is checked before every product: what would leave it becomes null.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import polars as pl

from valueverse.money import with_decimals
from valueverse.schemas.invoicing import INVOICE
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from collections.abc import Mapping

OUT_OF_RANGE = "out_of_range"
MOST_MINOR = 10**15
"""Minor units that an amount, or an invoice with its taxes, may come to."""
_MOST: Mapping[int, Decimal] = {places: Decimal(MOST_MINOR).scaleb(-places) for places in range(5)}


def most() -> pl.Expr:
    """MOST_MINOR in major units of a row's currency, by its ``decimals``."""
    found: pl.Expr = pl.lit(_MOST[0]).cast(EXACT)
    for places, limit in _MOST.items():
        found = pl.when(pl.col("decimals") == places).then(pl.lit(limit).cast(EXACT)).otherwise(found)
    return found


def times(amount: pl.Expr, quantity: pl.Expr) -> pl.Expr:
    """``amount`` x ``quantity`` of rows with ``decimals``; null where it is beyond ``most()``."""
    one = pl.lit(Decimal(1)).cast(EXACT)
    fits = quantity.abs() <= most() / pl.max_horizontal(amount.abs(), one)
    return amount * pl.when(fits).then(quantity)


def amount_in_range(amount: pl.Expr) -> pl.Expr:
    """The amount of a row with ``decimals``; null where it is beyond ``most()``."""
    return pl.when(amount.abs() <= most()).then(amount)


def in_range(lines: pl.DataFrame) -> pl.DataFrame:
    """The lines (WORKING_LINES) with decimals, and the ``problem`` out_of_range where amount_precise is beyond
    ``most()``."""
    beyond = pl.when(amount_in_range(pl.col("amount_precise")).is_null()).then(pl.lit(OUT_OF_RANGE))
    return with_decimals(lines).with_columns(pl.coalesce("problem", beyond).alias("problem"))


def total_in_range(lines: pl.DataFrame) -> pl.DataFrame:
    """The lines (amount_minor, tax_percent) with the ``tax_problem`` out_of_range where those of their invoice come to
    more than MOST_MINOR, taxes included."""
    percent = pl.col("tax_percent").fill_null(0).ceil().cast(pl.Int128) + 100
    size = (pl.col("amount_minor").cast(pl.Int128).abs() * percent).sum().over(INVOICE)
    beyond = pl.when(size > MOST_MINOR * 100).then(pl.lit(OUT_OF_RANGE))
    return lines.with_columns(pl.coalesce("tax_problem", beyond).alias("tax_problem"))
