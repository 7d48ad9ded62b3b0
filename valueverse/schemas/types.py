"""Types of columns that are the same everywhere."""

from __future__ import annotations

import polars as pl

PLACES = 18
"""Decimals of an exact number."""
EXACT = pl.Decimal(38, PLACES)
"""Quantities, prices, rates and precise amounts: up to 20 digits before the point and 18 behind it."""
INSTANT = pl.Datetime("us", "UTC")
"""A point in time."""
TEXT = pl.String()
MINOR = pl.Int64()
"""An amount in whole minor units of its row's currency."""
