"""Shown amounts of lines by the rounding policy, and the order of an invoice's lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.money import largest_remainder, round_exact, with_decimals
from valueverse.rating import round_amounts
from valueverse.schemas.invoicing import INVOICE, WORKING_LINES
from valueverse.schemas.types import EXACT

if TYPE_CHECKING:
    from valueverse.invoicing.lines.plan_terms import Terms


_DECIDING = (
    "service_to", "kind", "amount_precise", "description", "meter", "quantity", "event_count", "corrected_invoice_id",
    "proposal", "is_difference", "catalog_hash", "terms",
)  # fmt: skip
"""Columns that decide between lines of one rank, begin, key and dimensions."""


def shown_amounts(lines: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """WORKING_LINES with what their terms say (schemas.invoicing.SHOWN): ``amount_minor`` among it.

    Level ``invoice`` rounds the sum of the precise lines and spreads it back by largest remainder, so that the shown
    lines
    add up; ``line`` and ``tier`` rounded each line already.
    """
    bare = with_decimals(lines).drop("rounding_mode", "rounding_level", "zero_invoices", "amount_minor")
    policies = terms.policies.select("terms", "rounding_mode", "rounding_level", "zero_invoices")
    ruled = in_order(bare.join(policies, on="terms"))
    scale = pl.lit(10).cast(pl.Int64).pow(pl.col("decimals")).cast(pl.Int64).cast(EXACT)
    each = ruled.with_columns(
        pl.coalesce("amount_rounded", round_amounts(ruled, "amount_precise")).alias("amount_rounded"),
        (pl.col("amount_precise") * scale).alias("minor"),
    )
    by_invoice = each.filter(pl.col("rounding_level") == "invoice")
    by_line = each.filter(pl.col("rounding_level") != "invoice").with_columns(
        (pl.col("amount_rounded") * scale).cast(pl.Int64).alias("amount_minor")
    )
    if by_invoice.is_empty():
        return _of_catalogs(by_line, terms)
    parts = []
    for (mode,), part in by_invoice.group_by("rounding_mode", maintain_order=True):
        total = round_exact(pl.col("minor").sum().over(*INVOICE).cast(EXACT), 0, mode).cast(pl.Int64)
        parts.append(
            part.with_columns(largest_remainder(pl.col("minor"), total, list(INVOICE), "place").alias("amount_minor"))
        )
    return _of_catalogs(pl.concat([by_line, *parts]).sort("place"), terms)


def _of_catalogs(lines: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    hashes = terms.sets.select("terms", "catalog_hash")
    named = lines.drop("catalog_hash").join(hashes, on="terms", how="left", maintain_order="left")
    return WORKING_LINES.conform(named)


def in_order(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines as an invoice shows them, numbered again: ``place`` is unique over all invoices.

    The order is total on what the lines say, so that it never depends on the rows of others: a fee stands before what
    is given back of another one from the same instant on, and after that every column decides.
    """
    bare = lines.drop("place", strict=False)
    given_back = pl.col("amount_precise") < 0
    ordered = bare.sort(*INVOICE, "rank", "service_from", "key", "dimensions", given_back, *_DECIDING)
    return ordered.with_row_index("place")
