"""Quantities by hour or day for ``bucketed`` prices: every bucket of a stretch, also those without usage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.metering.quantities import Scope, meter_quantities
from valueverse.rating.engine import BUCKETS

if TYPE_CHECKING:
    from valueverse.invoicing.terms import Terms
    from valueverse.invoicing.usage_lines import Consumption

_STEP = {"hour": "1h", "day": "1d"}


def buckets_of(lines: pl.DataFrame, taken: pl.DataFrame, consumption: Consumption, terms: Terms) -> pl.DataFrame:
    """BUCKETS of the bucketed lines.

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
        return BUCKETS.to_frame()
    windows = _windows(mine)
    named = taken.select("stretch", "charge", "label", "dimensions").unique()
    counted = windows.select("window", "line", "stretch", "charge", "label").join(
        named, on=["stretch", "charge", "label"]
    )
    as_line = counted.select("window", "dimensions", pl.lit("line").alias("line"))
    scope = Scope(unnamed=consumption.unnamed, lines=as_line)
    found = meter_quantities(consumption.usage, windows, consumption.meters, consumption.known_at, scope)
    return (
        windows.select("window", "line", "minute")
        .join(found.select("window", "quantity"), on="window", how="left", maintain_order="left")
        .with_columns(pl.col("quantity").fill_null(0))
        .select(BUCKETS.names())
        .cast(BUCKETS)
    )


def _windows(lines: pl.DataFrame) -> pl.DataFrame:
    """One window per bucket of each line, in local hours or days, clipped to the line's stretch."""
    parts = [
        _zone_windows(part, str(zone), _STEP[str(every)])
        for (zone, every), part in lines.group_by("timezone", "every", maintain_order=True)
    ]
    return (
        pl.concat(parts)
        .sort("line", "from")
        .with_columns(pl.col("from").alias("full_from"), pl.col("to").alias("full_to"))
        .drop("window", strict=False)
        .with_row_index("window")
    )


def _zone_windows(part: pl.DataFrame, zone: str, step: str) -> pl.DataFrame:
    start, end = (pl.col(name).dt.convert_time_zone(zone) for name in ("from", "to"))
    begins = pl.datetime_ranges(start.dt.truncate(step), end, step, closed="left").alias("begins")
    listed = part.with_columns(begins).explode("begins").drop_nulls("begins")
    following = pl.col("begins").dt.offset_by(step)
    return listed.with_columns(
        pl.max_horizontal("from", pl.col("begins").dt.convert_time_zone("UTC")).alias("from"),
        pl.min_horizontal("to", following.dt.convert_time_zone("UTC")).alias("to"),
        (pl.col("begins").dt.hour().cast(pl.Int32) * 60 + pl.col("begins").dt.minute()).alias("minute"),
    ).drop("begins")
