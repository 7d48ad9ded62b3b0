"""What is invoiced per month, whichever run wrote it, and whether it has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.platform.stores import recorded_months
from valueverse.platform.warehouse import connect
from valueverse.services.months import FIRST_DAY

if TYPE_CHECKING:
    from datetime import date

    import polars as pl

    from valueverse.platform.settings import Settings


def monthly_totals(settings: Settings, first: date, last: date) -> pl.DataFrame:
    """MONTHLY_TOTALS of the months from ``first`` to ``last`` (first days, both included)."""
    with connect(settings, "builder") as connection:
        return recorded_months.monthly_totals(connection, first, last)


def invoice_states(settings: Settings) -> dict[date, str]:
    """Month (first days; the first partition holds the past) -> a text that changes with any invoice of the month."""
    with connect(settings, "builder") as connection:
        return recorded_months.invoice_states(connection, FIRST_DAY)
