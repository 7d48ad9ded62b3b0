"""What customers pay from month to month by contract: the fees in force at the end of a month, as a month's worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing import full_fees, with_terms
from valueverse.schemas.types import EXACT
from valueverse.schemas.value import METRIC_VALUES
from valueverse.subscriptions import DAYS, MONTHS
from valueverse.value.realisation.metrics import tenant_months

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from valueverse.catalog import CatalogHistory
    from valueverse.subscriptions import Timeline

_SEGMENT = ["tenant", "subscription", "segment"]
_OWNER = ["tenant", "customer", "month", "currency"]
_MONTHS = {unit: (months, 1) for unit, months in MONTHS.items()} | {
    unit: (12 * days, 365) for unit, days in DAYS.items()
}
"""How many months a unit of a period is, as a fraction: a month is a twelfth of a year of 365 days."""


def contracted_mrr(timeline: Timeline, history: CatalogHistory, months: Sequence[date]) -> pl.DataFrame:
    """``billing.contracted_mrr``: what a customer's fees in force at the end of the month come to for one month.

    Fees count at their full amount for a period of their plan (docs/decisions/1698): prorations, usage, commitments,
    discounts and taxes do not. Nothing is in force in a trial or a pause. What ends with the month is in force at its
    end. A customer that has fees at the end of the month before and none now has a row of 0.

    Args:
        timeline: subscriptions.
        history: their catalogs.
        months: first days.

    Returns:
        METRIC_VALUES.
    """
    priced, instants = _priced(timeline, history), tenant_months(timeline.tenants, months)
    before, now = (
        _in_force(priced, instants, instant).group_by(_OWNER).agg(pl.col("value").sum())
        for instant in ("begins", "ends")
    )
    both = now.join(before, on=_OWNER, how="full", coalesce=True, suffix="_before")
    return METRIC_VALUES.conform(
        both.with_columns(pl.lit("billing.contracted_mrr").alias("metric"), pl.col("value").fill_null(0))
    ).sort("tenant", "customer", "month", "currency")


def recurring_sources(timeline: Timeline, history: CatalogHistory, customer: str, month: date) -> pl.DataFrame:
    """The subscriptions behind ``billing.contracted_mrr``: subscription, plan, currency, value (of a month)."""
    priced = _priced(timeline, history).filter(pl.col("customer") == customer)
    found = _in_force(priced, tenant_months(timeline.tenants, [month]), "ends")
    return found.select("subscription", "plan", "currency", "value").sort("subscription")


def _priced(timeline: Timeline, history: CatalogHistory) -> pl.DataFrame:
    """The billable segments that have fees, with ``value``: a month's worth of them."""
    segments, terms = with_terms(timeline, history)
    numerator, denominator = (
        pl.col("unit").replace_strict({unit: part[place] for unit, part in _MONTHS.items()}, return_dtype=pl.Int64)
        for place in (0, 1)
    )
    worth = pl.col("full_amount") * denominator.cast(EXACT) / (numerator * pl.col("every")).cast(EXACT)
    fees = full_fees(segments, terms.fees).group_by(_SEGMENT).agg(worth.sum().alias("value"))
    return segments.join(fees, on=_SEGMENT).filter(pl.col("value") > 0)


def _in_force(priced: pl.DataFrame, instants: pl.DataFrame, instant: str) -> pl.DataFrame:
    """What is in force just before an instant of each month, with the month."""
    placed = priced.select("tenant", "customer", "subscription", "plan", "currency", "from", "to", "value").join(
        instants, on="tenant"
    )
    return placed.filter(pl.col("from") < pl.col(instant), pl.col("to").is_null() | (pl.col("to") >= pl.col(instant)))
