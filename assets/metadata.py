"""Metadata of materialisations: tables, bars and amounts as text, and the rows of each partition of a range."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import dagster as dg
import polars as pl

from valueverse.money import minor_text, minor_units
from valueverse.services.months import FIRST_DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

PREVIEW_ROWS = 12


def preview(frame: pl.DataFrame, rows: int = PREVIEW_ROWS) -> dg.MarkdownMetadataValue:
    """The first rows as a Markdown table; numbers as exact text."""
    if frame.is_empty():
        return dg.MetadataValue.md("_no rows_")
    shown = frame.head(rows).select(pl.all().cast(pl.String, strict=False).fill_null(""))
    cells = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in shown.iter_rows()]
    lines = [shown.columns, ["---"] * shown.width, *cells]
    more = f"\n\n_{frame.height - rows} more rows_" if frame.height > rows else ""
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines) + more)


def bars(frame: pl.DataFrame, label: str, value: str, width: int = 20) -> dg.MarkdownMetadataValue:
    """A bar chart in text of an integer column, longest bar ``width`` characters."""
    if frame.is_empty():
        return dg.MetadataValue.md("_nothing to plot_")
    longest = max(int(frame[value].cast(pl.Int64).max() or 0), 1)  # type: ignore[arg-type]  # an integer column's maximum
    rows = [
        f"{name!s:<24} {number:>12,} {'█' * max(round(width * number / longest), number > 0)}"
        for name, number in frame.select(label, value).iter_rows()
    ]
    return dg.MetadataValue.md("```text\n" + "\n".join(rows) + "\n```")


def money(minor: int | Decimal, currency: str) -> str:
    """Minor units as text with the currency: 123450 of USD is ``"USD 1,234.50"``."""
    return f"{currency} {Decimal(minor_text(int(minor), minor_units(currency))):,}"


def with_amount(frame: pl.DataFrame, minor: str, name: str) -> pl.DataFrame:
    """A small frame with the column ``minor`` (minor units of ``currency``) shown as ``money``, called ``name``."""
    shown = [money(amount, currency) for amount, currency in frame.select(minor, "currency").iter_rows()]
    return frame.drop(minor).with_columns(pl.Series(name, shown, dtype=pl.String))


def by_partition(
    context: dg.AssetExecutionContext, frame: pl.DataFrame, day: str, *, monthly: bool
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Every partition of this run with its rows of ``frame``, by the dates in the column ``day``.

    The first partition of all holds whatever is older.
    """
    held = pl.max_horizontal(day, pl.lit(FIRST_DAY))
    keyed = frame.with_columns(partition=held.dt.truncate("1mo") if monthly else held)
    parts = keyed.partition_by("partition", include_key=False, as_dict=True)
    for key in context.partition_keys:
        yield key, parts.get((date.fromisoformat(key),), frame.clear())
