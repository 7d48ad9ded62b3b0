"""What the amount of one ``bucketed`` line is made of, for whoever explains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from valueverse.rating.buckets import priced_buckets
from valueverse.rating.engine import bucket_amounts
from valueverse.rating.price_book import ChargeBook
from valueverse.schemas.rating import BUCKET_QUANTITIES
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from valueverse.catalog import ChargePricing


@dataclass(frozen=True)
class BucketParts:
    """A line's buckets by how they were priced.

    Attributes:
        buckets, used: how many there are, and how many of them have usage.
        priced: what the prices of all of them come to.
        above, more: buckets above their commitment, and what its factor adds to them.
        below, raised: buckets below a commitment that is trued up, and what that adds to them.
    """

    buckets: int
    used: int
    priced: Decimal
    above: int
    more: Decimal
    below: int
    raised: Decimal


def bucket_parts(pricing: ChargePricing, buckets: Sequence[tuple[Decimal, int | None]]) -> BucketParts | None:
    """The parts of what a charge with a ``bucketed`` price asks for these buckets (metered quantity, and local minute
    of the day), in the order of time; None where there are none, or something is out of range.
    """
    book = ChargeBook.build([(pricing, "half_up", "line")])
    line = book.charges.with_columns(pl.lit(0, pl.UInt32).alias("line"), pl.lit(0).cast(EXACT).alias("to_price"))
    listed = [{"line": 0, "quantity": quantity, "minute": minute} for quantity, minute in buckets]
    rows = pl.DataFrame(listed, schema=BUCKET_QUANTITIES)
    priced = priced_buckets(line, rows, book, bucket_amounts)
    if not buckets or priced["due"].null_count():
        return None
    added = pl.col("due") - pl.col("amount")
    above = pl.col("amount") >= pl.col("commitment")
    return BucketParts(
        **priced.select(
            pl.len().alias("buckets"),
            (pl.col("value") != 0).sum().alias("used"),
            pl.col("amount").sum().alias("priced"),
            (above & (added != 0)).sum().alias("above"),
            added.filter(above).sum().alias("more"),
            (~above & (added != 0)).sum().alias("below"),
            added.filter(~above).sum().alias("raised"),
        ).to_dicts()[0]
    )
