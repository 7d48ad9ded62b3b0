"""Shown amounts of lines by the rounding policy, and the order of an invoice's lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.periods.billing_periods import INVOICE
from valueverse.invoicing.schema import with_decimals
from valueverse.money import EXACT, largest_remainder, round_exact
from valueverse.rating.charge_steps import rounded

if TYPE_CHECKING:
    from valueverse.invoicing.lines.plan_terms import Terms


_DECIDING = (
    "service_to", "kind", "amount_precise", "description", "meter", "quantity", "event_count", "corrected_invoice_id",
    "proposal", "is_difference", "catalog_hash", "terms",
)  # fmt: skip
"""Columns that decide between lines of one rank, begin, key and dimensions."""


def shown_amounts(lines: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Add rounding_mode, rounding_level, decimals and ``amount_minor`` by the policy of each line's terms.

    Level ``invoice`` rounds the sum of the precise lines and spreads it back by largest remainder, so that the shown
    lines
    add up; ``line`` and ``tier`` rounded each line already.
    """
    ruled = with_decimals(lines).join(
        terms.policies.select("terms", "rounding_mode", "rounding_level", "zero_invoices"), on="terms"
    )
    ruled = in_order(ruled)
    scale = pl.lit(10).cast(pl.Int64).pow(pl.col("decimals")).cast(pl.Int64).cast(EXACT)
    each = ruled.with_columns(
        pl.coalesce("amount_rounded", rounded(ruled, "amount_precise")).alias("amount_rounded"),
        (pl.col("amount_precise") * scale).alias("minor"),
    )
    by_invoice = each.filter(pl.col("rounding_level") == "invoice")
    by_line = each.filter(pl.col("rounding_level") != "invoice").with_columns(
        (pl.col("amount_rounded") * scale).cast(pl.Int64).alias("amount_minor")
    )
    if by_invoice.is_empty():
        return by_line.drop("minor")
    parts = []
    for (mode,), part in by_invoice.group_by("rounding_mode", maintain_order=True):
        total = round_exact(pl.col("minor").sum().over(*INVOICE).cast(EXACT), 0, mode).cast(pl.Int64)
        parts.append(
            part.with_columns(largest_remainder(pl.col("minor"), total, list(INVOICE), "place").alias("amount_minor"))
        )
    return pl.concat([by_line, *parts]).drop("minor").sort("place")


def in_order(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines as an invoice shows them, numbered anew: ``place`` is unique over all invoices.

    The order is total on what the lines say, so that it never depends on the rows of others: a fee stands before what
    is given back of another one from the same instant on, and after that every column decides.
    """
    bare = lines.drop("place", strict=False)
    given_back = pl.col("amount_precise") < 0
    rest = [name for name in _DECIDING if name in bare.columns]
    ordered = bare.sort(*INVOICE, "rank", "service_from", "key", "dimensions", given_back, *rest)
    return ordered.with_row_index("place")
