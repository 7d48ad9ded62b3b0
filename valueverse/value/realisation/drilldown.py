"""Drill-down of a metric's value for one customer and month: usage events, recorded costs, subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import as_known
from valueverse.metering import OK
from valueverse.subscriptions import local_midnight
from valueverse.value.realisation.metrics import held_in, owned_usage, recorded_costs, spread

if TYPE_CHECKING:
    from datetime import date, datetime

    from valueverse.subscriptions import Timeline


def usage_sources(
    usage: pl.LazyFrame, timeline: Timeline, meter: str, month: date, known_at: datetime | None, most: int
) -> pl.DataFrame:
    """The events that ``usage.<meter>`` counts, per customer: their number, and the first of them by time.

    A meter that carries its level over counts earlier events too; these are not among them.

    Args:
        usage: USAGE rows of one tenant.
        timeline: of that tenant alone.
        meter: its key.
        month: first day of the month in the tenant's time zone.
        known_at: as known then.
        most: events listed for each customer.

    Returns:
        customer, count, first: a list of source, id, root_id, time, value, text_value.
    """
    bounds = timeline.tenants.select("timezone", pl.lit(month).alias("month"))
    bounds = local_midnight(bounds, pl.col("month"), "timezone", "from")
    bounds = local_midnight(bounds, pl.col("month").dt.offset_by("1mo"), "timezone", "to")
    start, end = bounds.select("from", "to").row(0)
    return (
        owned_usage(usage, timeline.segments)
        .filter(
            pl.col("meter") == meter,
            pl.col("status") == OK,
            pl.col("time") >= pl.lit(start),
            pl.col("time") < pl.lit(end),
            as_known(known_at),
        )
        .sort("time", "source", "id")
        .group_by("customer")
        .agg(
            pl.len().alias("count"),
            pl.struct("source", "id", "root_id", "time", "value", "text_value").head(most).alias("first"),
        )
        .sort("customer")
        .collect()
    )


def cost_sources(timeline: Timeline, customer: str, month: date) -> pl.DataFrame:
    """The cost events that ``billing.cost_to_serve`` counts: the customer's own, and those shared out by usage.

    Returns:
        source, id, service, customer (null: shared out), currency, amount: what of the event falls in the month.
    """
    costs = spread(recorded_costs(timeline.adjustment_events, timeline.tenants), "amount", [month])
    own = pl.col("customer").is_null() | (pl.col("customer") == customer)
    return costs.filter(own).select("source", "id", "service", "customer", "currency", "amount").sort("source", "id")


def subscription_sources(timeline: Timeline, customer: str, month: date) -> list[str]:
    """The subscriptions that make ``billing.active_customers`` 1."""
    held = held_in(timeline.segments, timeline.tenants, [month])
    return held.filter(pl.col("customer") == customer)["subscription"].unique().sort().to_list()
