"""``capacity``: one amount for the lowest tier all of whose limits hold (inclusive); a meter without usage
counts 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from valueverse.rating.price_book import ChargeBook


def capacity(lines: pl.DataFrame, quantities: pl.DataFrame, book: ChargeBook) -> pl.DataFrame:
    """Amount of every line.

    Args:
        lines: line, charge.
        quantities: line, meter, quantity.
    """
    broken = (
        lines.select("line", "charge")
        .join(book.limits, on="charge")
        .join(quantities, on=["line", "meter"])
        .filter(pl.col("quantity") > pl.col("limit"))
        .select("line", "tier")
        .unique()
    )
    return (
        lines.select("line", "charge")
        .join(book.steps, on="charge")
        .join(broken, on=["line", "tier"], how="anti")
        .sort("line", "tier")
        .group_by("line", maintain_order=True)
        .agg(pl.col("amount").first())
    )
