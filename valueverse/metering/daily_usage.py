"""What a meter comes to on one day alone: the values of ``billing.usage_daily``."""

from __future__ import annotations

import polars as pl

from valueverse.catalog import AMOUNT_MARK
from valueverse.dates import utc_midnight
from valueverse.metering.usage_status import OK
from valueverse.schemas.metering import DAILY_USAGE
from valueverse.schemas.types import EXACT

ADDITIVE = ("count", "sum")
"""Aggregations whose daily values add up, over days and over dimensions."""
_OWNER = ["tenant", "customer", "subscription", "meter", "day", "dimensions"]


def derive_daily_usage(usage: pl.DataFrame, meters: pl.DataFrame) -> pl.DataFrame:
    """DAILY_USAGE of current usage: one row per owner, meter, day and dimensions, by the meter's own aggregation.

    Args:
        usage: USAGE rows of whole days.
        meters: METERS; of several versions the one in force as the day ends counts.
    """
    rows = _in_order(usage)
    members = (
        rows.filter(pl.col("text_value").is_not_null())
        .group_by(*_OWNER, "text_value")
        # A member is in after an add and out after a remove, whatever came before it.
        .agg((pl.col("operation").last().fill_null("add") != "remove").alias("present"))
        .group_by(_OWNER)
        .agg(pl.col("present").sum().cast(EXACT).alias("members"))
    )
    found = rows.group_by(_OWNER, maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("events"),
        pl.col("value").count().alias("values"),
        *(getattr(pl.col("value"), name)().alias(name) for name in ("sum", "min", "max")),
        pl.col("value").last().alias("latest"),
    )
    asked = _asked(found, meters).join(members, on=_OWNER, how="left", maintain_order="left")
    return DAILY_USAGE.conform(asked.with_columns(_quantity().alias("quantity")))


def _in_order(usage: pl.DataFrame) -> pl.DataFrame:
    """Rows that count now, of meters that a catalog names (amounts carried beside them are the same events again)."""
    return (
        usage.filter(
            pl.col("status") == OK,
            pl.col("known_until").is_null(),
            pl.col("meter").is_null() | ~pl.col("meter").str.contains(AMOUNT_MARK, literal=True),
        )
        .with_columns(pl.col("customer", "subscription").fill_null(""), pl.col("event_date").alias("day"))
        .sort("time", "received_at", "id", "source")
    )


def _asked(found: pl.DataFrame, meters: pl.DataFrame) -> pl.DataFrame:
    """Add aggregation and carry_over: of the last version that began before the day's end, else of the first ever."""
    by = ["tenant", "meter"]
    versions = meters.select(*by, "valid_from", "aggregation", "carry_over").drop_nulls("valid_from")
    first = versions.sort("valid_from").unique(by, keep="first", maintain_order=True).drop("valid_from")
    ends = utc_midnight(pl.col("day") + pl.duration(days=1))
    dated = found.with_columns((ends - pl.duration(microseconds=1)).alias("last")).sort("last")
    placed = dated.join_asof(
        versions.sort("valid_from"), left_on="last", right_on="valid_from", by=by, check_sortedness=False
    ).join(first, on=by, how="left", suffix="_first", maintain_order="left")
    return placed.with_columns(
        pl.coalesce("aggregation", "aggregation_first").alias("aggregation"),
        pl.coalesce("carry_over", "carry_over_first").fill_null(value=False).alias("carry_over"),
    )


def _quantity() -> pl.Expr:
    kind, counted = pl.col("aggregation"), pl.col("values") > 0
    return (
        pl.when(kind == "unique_count")
        .then(pl.when(~pl.col("carry_over")).then(pl.col("members").fill_null(pl.lit(0).cast(EXACT))))
        .when(~counted)
        .then(None)
        .when(kind.is_in(ADDITIVE))
        .then("sum")
        .when(kind.is_in(["min", "max"]))
        .then(pl.when(kind == "min").then("min").otherwise("max"))
        .when(kind == "avg")
        .then(pl.col("sum") / pl.col("values").cast(EXACT))
        .when(kind == "latest")
        .then("latest")
    )
