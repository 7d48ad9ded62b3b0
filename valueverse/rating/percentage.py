"""``percentage``: a rate of each event's value plus a fixed amount, with allowances and bounds per event.

Events count in time order. An event is free while it is among the first ``free_events`` and the running total
including it is at most ``free_amount`` (an allowance not set does not limit; none set = none free). The event
that takes the total past ``free_amount`` pays rate on the part above it, and ``fixed``. The allowance that
ends first ends both. Each paid event = rate x paid part + fixed, then min_per_event / max_per_event
(billing.md, Prices).
"""

from __future__ import annotations

import polars as pl

from valueverse.schemas.types import EXACT

ZERO = pl.lit(0).cast(EXACT)
_HUNDRED = pl.lit(100).cast(EXACT)


def percentage(events: pl.DataFrame) -> pl.DataFrame:
    """Amount of every line.

    Args:
        events: line, value, and the charge's rate, fixed, free_events, free_amount, min_per_event,
            max_per_event; in time order within a line. A quantity without events is one event.

    Returns:
        line, amount.
    """
    return (
        priced_events(events)
        .group_by("line")
        .agg(pl.when(pl.col("amount").null_count() == 0).then(pl.col("amount").sum()).cast(EXACT).alias("amount"))
    )


def priced_events(events: pl.DataFrame) -> pl.DataFrame:
    """The events of ``percentage``, each with whether it is ``paid``, the ``part`` of its value that pays the rate,
    ``full`` (before the bounds of an event) and ``amount``.
    """
    counted = events.with_columns(
        pl.int_range(1, pl.len() + 1).over("line").alias("number"),
        pl.col("value").cum_sum().over("line").cast(EXACT).alias("total"),
    )
    allowance = pl.col("free_events").is_not_null() | pl.col("free_amount").is_not_null()
    by_count = pl.col("free_events").is_null() | (pl.col("number") <= pl.col("free_events"))
    by_amount = pl.col("free_amount").is_null() | (pl.col("total") <= pl.col("free_amount"))
    paid = counted.with_columns((~(allowance & by_count & by_amount)).cum_max().over("line").alias("paid"))
    first_paid = pl.col("paid") & ~pl.col("paid").shift(1, fill_value=False).over("line")
    crossing = first_paid & by_count & (pl.col("total") > pl.col("free_amount"))
    part = pl.when(crossing.fill_null(value=False)).then(pl.col("total") - pl.col("free_amount")).otherwise("value")
    full = pl.col("part") * pl.col("rate") / _HUNDRED + pl.col("fixed")
    bounded = pl.max_horizontal(pl.min_horizontal("full", "max_per_event"), "min_per_event")
    amount = pl.when(pl.col("value").is_not_null()).then(pl.when("paid").then(bounded).otherwise(ZERO))
    return paid.with_columns(part.alias("part")).with_columns(full.alias("full")).with_columns(amount.alias("amount"))
