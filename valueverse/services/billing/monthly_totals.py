"""What is invoiced per month, whichever run wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.platform.stores import recorded_months
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from valueverse.platform.settings import Settings


def monthly_totals(settings: Settings, first: date, last: date) -> pl.DataFrame:
    """MONTHLY_TOTALS of the months from ``first`` to ``last`` (first days, both included)."""
    with connect(settings, "builder") as connection:
        return recorded_months.monthly_totals(connection, first, last)
