"""Which charge takes which usage, and the usage lines that come of it.

Charges of a plan on one meter compete per event: the one whose ``when`` matches with the most keys takes it, no
``when``
is the fallback, and what none takes is unbilled with reason ``no_charge`` (contracts.md, section 3). The decision hangs
on the plan's terms and the event's dimensions alone, so it is taken once per distinct pair, not once per event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.schemas.dimensions import in_canonical_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.invoicing.lines.plan_terms import Terms


def _dimension_values(dimensions: pl.Series, names: Sequence[str]) -> pl.DataFrame:
    """Long form of distinct dimension texts: dimensions, name, value (only where the value is present)."""
    texts = dimensions.unique().drop_nulls().to_frame("dimensions")
    wide = texts.with_columns(pl.col("dimensions").str.json_path_match(f"$['{name}']").alias(name) for name in names)
    long = wide.unpivot(index="dimensions", variable_name="name", value_name="value")
    return long.cast({"name": pl.String, "value": pl.String}).drop_nulls("value")


def assign(found: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Add ``charge`` (index into the terms' book; null: no charge takes it) to rows of terms, meter, dimensions."""
    pairs = found.select("terms", "meter", "dimensions").unique()
    values = _dimension_values(pairs["dimensions"], terms.dimension_names)
    matched = (
        pairs.join(terms.conditions, on=["terms", "meter"])
        .join(values, on=["dimensions", "name", "value"])
        .group_by("terms", "meter", "dimensions", "charge")
        .agg(pl.len().alias("matches"))
    )
    best = (
        pairs.join(terms.takes.select("terms", "meter", "charge", "specificity"), on=["terms", "meter"])
        .join(matched, on=["terms", "meter", "dimensions", "charge"], how="left")
        .filter(pl.col("matches").fill_null(0) == pl.col("specificity"))
        .sort("specificity", descending=True)
        .group_by("terms", "meter", "dimensions")
        .agg(pl.col("charge").first())
    )
    return found.join(best, on=["terms", "meter", "dimensions"], how="left")


def projected(names: Sequence[str]) -> pl.Expr:
    """Only these of a row's ``dimensions``, as canonical JSON text."""
    values = [
        pl.col("dimensions").str.json_path_match(f"$['{name}']").alias(name) for name in in_canonical_order(names)
    ]
    return pl.struct(values).struct.json_encode()


def split_label(rows: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Add ``label``: the dimensions that the row's charge shows a line for, as canonical JSON text; '' without
    split_by."""
    label = pl.lit("")
    for split in terms.splits:
        label = pl.when(pl.col("charge").is_in(terms.splits[split])).then(projected(split)).otherwise(label)
    return rows.with_columns(label.alias("label"))


def with_cells(rows: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Add ``cell``: the dimensions by which a matrix charge prices the row, as canonical JSON text; '' for others."""
    axes = terms.book.matrix_dimensions
    cell = pl.lit("")
    for names in sorted(set(axes.values())):
        charges = [charge for charge, own in axes.items() if own == names]
        cell = pl.when(pl.col("charge").is_in(charges)).then(projected(names)).otherwise(cell)
    return rows.with_columns(cell.alias("cell"))
