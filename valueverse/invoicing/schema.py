"""Frames of invoicing. Instants are UTC, amounts EXACT major units beside Int64 minor units."""

from __future__ import annotations

import polars as pl

from valueverse.money import minor_units

RULES_VERSION = "1"
"""Version of the billing rules in this engine; it stands on every invoice (basis.rules_version)."""

OF_PERIOD = ("usage", "minimum")
"""Kinds of lines of which threshold invoices may bill a part."""

OF_CLOSE = ("threshold", "period")
"""Purposes of the invoices that share what a period comes to."""


def with_decimals(rows: pl.DataFrame) -> pl.DataFrame:
    """Add ``decimals`` (Int8): the minor unit of each row's ``currency``."""
    decimals = {currency: minor_units(currency) for currency in rows["currency"].unique()}
    # An empty mapping would leave the column as text.
    found = pl.col("currency").replace_strict(decimals or {"": 0}, return_dtype=pl.Int8)
    return rows.with_columns(found.alias("decimals"))
