"""Quantities by hour or day for ``bucketed`` prices: every bucket of a stretch, also those without usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.metering import QuantityScope, meter_quantities
from valueverse.schemas.rating import BUCKET_QUANTITIES
from valueverse.subscriptions import local_midnight

if TYPE_CHECKING:
    from valueverse.invoicing.lines.plan_terms import Terms
    from valueverse.invoicing.lines.usage.consumption import Consumption


def buckets_of(lines: pl.DataFrame, taken: pl.DataFrame, consumption: Consumption, terms: Terms) -> pl.DataFrame:
    """BUCKET_QUANTITIES of the bucketed lines.

    Args:
        lines: line, stretch, charge, label, meter, from, to, timezone ...; other models are left out.
        taken: which dimensions of which window each line takes.
        consumption: what metering reads.
        terms: theirs.
    """
    every = pl.DataFrame(
        [(charge, document.every) for charge, document in terms.book.buckets.items()],
        schema={"charge": pl.UInt32, "every": pl.String},
        orient="row",
    )
    mine = lines.drop("every", strict=False).join(every, on="charge")
    if mine.is_empty():
        return BUCKET_QUANTITIES.to_frame()
    windows = _windows(mine)
    named = taken.select("stretch", "charge", "label", "dimensions").unique()
    counted = windows.select("window", "line", "stretch", "charge", "label").join(
        named, on=["stretch", "charge", "label"]
    )
    as_line = counted.select("window", "dimensions", pl.lit("line").alias("line"))
    scope = QuantityScope(unnamed=consumption.unnamed, lines=as_line)
    found = meter_quantities(consumption.usage, windows, consumption.meters, consumption.known_at, scope)
    return (
        windows.select("window", "line", "minute")
        .join(found.select("window", "quantity"), on="window", how="left", maintain_order="left")
        .with_columns(pl.col("quantity").fill_null(0))
        .select(BUCKET_QUANTITIES.names())
        .cast(BUCKET_QUANTITIES)
    )


def _windows(lines: pl.DataFrame) -> pl.DataFrame:
    """One window per bucket of each line, in local hours or days, clipped to the line's stretch."""
    parts = [
        _zone_windows(part, str(zone), str(every))
        for (zone, every), part in lines.group_by("timezone", "every", maintain_order=True)
    ]
    return (
        pl.concat(parts)
        .sort("line", "from")
        .with_columns(pl.col("from").alias("full_from"), pl.col("to").alias("full_to"))
        .drop("window", strict=False)
        .with_row_index("window")
    )


def _zone_windows(part: pl.DataFrame, zone: str, every: str) -> pl.DataFrame:
    starts = _days(part, zone) if every == "day" else _hours(part, zone)
    begins = starts["begins"]
    first, beyond = begins.search_sorted(part["from"], side="right"), begins.search_sorted(part["to"], side="left")
    listed = part.with_columns(pl.int_ranges(first - 1, beyond).alias("bucket")).explode("bucket")
    ending = starts.with_columns(begins.shift(-1).alias("ends")).with_row_index("bucket").cast({"bucket": pl.Int64})
    return (
        listed.join(ending, on="bucket", maintain_order="left")
        .with_columns(pl.max_horizontal("from", "begins").alias("from"), pl.min_horizontal("to", "ends").alias("to"))
        .drop("bucket", "begins", "ends")
    )


def _days(part: pl.DataFrame, zone: str) -> pl.DataFrame:
    """begins, minute of every local day of the lines; a day that the zone skipped is none."""
    reach = part.select(pl.col("from").min(), pl.col("to").max()).select(
        pl.col("from", "to").dt.convert_time_zone(zone).dt.date()
    )
    days = reach.select(pl.date_ranges("from", "to").alias("day").explode(), timezone=pl.lit(zone))
    placed = local_midnight(days, pl.col("day"), "timezone", "begins")
    return placed.unique("begins", keep="last").sort("begins").select("begins", pl.lit(0, pl.Int32).alias("minute"))


def _hours(part: pl.DataFrame, zone: str) -> pl.DataFrame:
    """begins, minute of every local hour of the lines.

    Clocks move by quarters of an hour: an hour begins where the local hour, or how far it is from UTC, becomes another.
    So an hour that the clock repeats is two, and one that it cuts short is a short one.
    """
    reach = part.select(pl.col("from").min().dt.truncate("15m"), pl.col("to").max())
    quarters = reach.select(pl.datetime_ranges("from", "to", "15m").alias("begins").explode())
    local = pl.col("begins").dt.convert_time_zone(zone).dt.replace_time_zone(None)
    local_quarters = quarters.with_columns(
        local.dt.truncate("1h").alias("hour"), (local - pl.col("begins").dt.replace_time_zone(None)).alias("offset")
    )
    turns = (pl.struct("hour", "offset") != pl.struct("hour", "offset").shift()).fill_null(value=True)
    minute = pl.col("hour").dt.hour().cast(pl.Int32) * 60
    return local_quarters.filter(turns).select("begins", minute.alias("minute"))
