"""Usage rows that lie in pieces of windows: the one join of metering.

A piece is a stretch [since, until) of one window together with the KEYS of the usage it counts; ``since``
null means from the first event on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.dates import month_index

if TYPE_CHECKING:
    from datetime import datetime

WINDOW_KEYS = ["tenant", "customer", "subscription", "meter"]
"""What ties usage to a window; a null subscription ties to pieces for usage that names none."""
_MANY = 10_000
"""Customers from which on a filter by customer does not pay."""


def usage_near_windows(usage: pl.LazyFrame, pieces: pl.DataFrame) -> pl.LazyFrame:
    """Usage of the pieces' meters and dates: filters by which a scan of the partitioned table skips files."""
    # Never null: a frame without pieces is not asked.
    until: datetime = pieces["until"].max()  # type: ignore[assignment]
    meters = pieces["meter"].unique()
    near = usage.filter(pl.col("meter").is_in(meters.implode()), pl.col("event_date") <= until.date())
    if pieces["since"].null_count():
        return near
    since: datetime = pieces["since"].min()  # type: ignore[assignment]
    return near.filter(pl.col("event_date") >= since.date(), pl.col("time") >= pl.lit(since))


def usage_of_customers(usage: pl.LazyFrame, pieces: pl.DataFrame) -> pl.LazyFrame:
    """Usage of the pieces' customers: where they are few, a scan decodes little of the other columns.

    Where they are many, looking each row's customer up costs more than it saves, and nothing is left out.
    """
    customers = pieces["customer"].unique()
    return usage if len(customers) > _MANY else usage.filter(pl.col("customer").is_in(customers.implode()))


def rows_in_pieces(usage: pl.LazyFrame, pieces: pl.DataFrame, columns: list[str]) -> pl.LazyFrame:
    """``window`` and these columns of every usage row, once for each piece it lies in."""
    stretches = pieces.select(*WINDOW_KEYS, "window", "since", "until")
    bounded = stretches.filter(pl.col("since").is_not_null())
    unbounded = stretches.filter(pl.col("since").is_null())
    found = []
    if bounded.height:
        # Joined by month, so that a customer with a window per day does not multiply every row by every day.
        last = pl.col("until") - pl.duration(microseconds=1)
        by_month = bounded.with_columns(
            pl.int_ranges(month_index(pl.col("since")), month_index(last) + 1).alias("month")
        ).explode("month")
        inside = (pl.col("time") >= pl.col("since")) & (pl.col("time") < pl.col("until"))
        found.append(
            usage.with_columns(month_index(pl.col("time")).alias("month"))
            .join(by_month.lazy(), on=[*WINDOW_KEYS, "month"], nulls_equal=True)
            .filter(inside)
        )
    if unbounded.height:
        joined = usage.join(unbounded.lazy(), on=WINDOW_KEYS, nulls_equal=True)
        found.append(joined.filter(pl.col("time") < pl.col("until")))
    return pl.concat([rows.select("window", *columns) for rows in found])
