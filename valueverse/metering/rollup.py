"""Quantities that add up from parts: count, sum, min, max and avg over [since, until)."""

from __future__ import annotations

import polars as pl

from valueverse.metering.schema import QUANTITIES, RANGE
from valueverse.money import EXACT

KEYS = ["tenant", "customer", "subscription", "meter"]
"""What ties usage to a window; a null subscription ties to pieces for usage that names none."""
_GROUP = ["window", "dimensions"]


def rollup_quantities(usage: pl.LazyFrame, pieces: pl.DataFrame, lines: pl.DataFrame | None) -> pl.DataFrame:
    """Quantities of additive meters: usage is grouped by day once, and read again only where a piece cuts a
    day.

    Args:
        usage: relevant USAGE rows.
        pieces: windows as ``quantities`` lays them out: KEYS, window, since, until, aggregation.
        lines: see ``meter_quantities``.
    """
    if pieces.is_empty():
        return QUANTITIES.to_frame()
    pieces = _with_days(pieces)
    cuts = _cut_days(pieces)
    wanted = usage.filter(
        pl.col("meter").is_in(pieces["meter"].unique().implode()),
        pl.col("event_date") >= pieces["since"].min().date(),  # type: ignore[union-attr]  # never null here
    )
    daily, cut = pl.collect_all(
        [
            wanted.group_by(*KEYS, "dimensions", "event_date").agg(*_parts(pieces)),
            wanted.join(cuts.lazy(), on=[*KEYS, "event_date"], how="semi", nulls_equal=True).select(
                *KEYS, "dimensions", "event_date", "time", "value"
            ),
        ],
        engine="streaming",
    )
    whole = _within_whole_days(daily, pieces)
    cut = cut.join(
        pieces.select(*KEYS, "window", "since", "until", "day_from", "day_to"), on=KEYS, nulls_equal=True
    )
    outside = (pl.col("event_date") < pl.col("day_from")) | (pl.col("event_date") >= pl.col("day_to"))
    cut = cut.filter(outside, pl.col("time") >= pl.col("since"), pl.col("time") < pl.col("until"))
    partial = cut.group_by(*_GROUP).agg(*_parts(pieces))
    found = pl.concat([whole.select(partial.columns), partial])
    return _combined(found if lines is None else on_lines(found, lines), pieces)


def on_lines(rows: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Rows of window and dimensions, their dimensions replaced by the line they count on; the rest left
    out."""
    return rows.join(lines, on=_GROUP).drop("dimensions").rename({"line": "dimensions"}).select(rows.columns)


def _parts(pieces: pl.DataFrame) -> list[pl.Expr]:
    """What has to be added up, and no more."""
    asked = set(pieces["aggregation"])
    parts = [pl.len().cast(pl.Int64).alias("events")]
    if asked & {"sum", "avg", "count"}:
        parts.append(pl.col("value").sum().alias("sum"))
    if "min" in asked:
        parts.append(pl.col("value").min().alias("min"))
    if "max" in asked:
        parts.append(pl.col("value").max().alias("max"))
    return parts


def _with_days(pieces: pl.DataFrame) -> pl.DataFrame:
    """Add [day_from, day_to): the UTC days that lie in the piece whole."""
    starts_at_midnight = pl.col("since").dt.truncate("1d") == pl.col("since")
    first = pl.col("since").dt.date()
    return pieces.with_columns(
        pl.when(starts_at_midnight).then(first).otherwise(first.dt.offset_by("1d")).alias("day_from"),
        pl.col("until").dt.date().alias("day_to"),
    )


def _cut_days(pieces: pl.DataFrame) -> pl.DataFrame:
    """KEYS and event_date of the days that a piece holds in part."""
    sides = [
        pieces.filter(pl.col(side).dt.truncate("1d") != pl.col(side)).select(
            *KEYS, pl.col(side).dt.date().alias("event_date")
        )
        for side in ("since", "until")
    ]
    return pl.concat(sides).unique()


def _within_whole_days(daily: pl.DataFrame, pieces: pl.DataFrame) -> pl.DataFrame:
    # Joined by month, because a customer billed by the day has as many windows as days.
    month = pl.col("event_date").dt.truncate("1mo").alias("month")
    months = pl.date_ranges(pl.col("day_from").dt.truncate("1mo"), pl.col("day_to"), interval="1mo").alias(
        "month"
    )
    by_month = (
        pieces.filter(pl.col("day_from") < pl.col("day_to"))
        .select(*KEYS, "window", "day_from", "day_to", months)
        .explode("month")
    )
    inside = (pl.col("event_date") >= pl.col("day_from")) & (pl.col("event_date") < pl.col("day_to"))
    return daily.with_columns(month).join(by_month, on=[*KEYS, "month"], nulls_equal=True).filter(inside)


def _combined(found: pl.DataFrame, pieces: pl.DataFrame) -> pl.DataFrame:
    """One row per window and dimensions, with the quantity that its aggregation asks for."""
    has = set(found.columns)
    parts = [pl.col("events").sum()]
    if "sum" in has:
        # An overflow would raise for every tenant: a total beyond the range is left missing instead.
        size = pl.col("sum").cast(pl.Float64).abs().sum().over(_GROUP)
        found = found.with_columns(
            pl.when(size < RANGE).then("sum").alias("sum"), (size < RANGE).alias("fits")
        )
        parts.append(pl.when(pl.col("fits").all()).then(pl.col("sum").sum()).alias("sum"))
    parts += [getattr(pl.col(name), name)() for name in ("min", "max") if name in has]
    wanted = pieces.select("window", "aggregation").unique()
    totals = found.group_by(_GROUP).agg(*parts).join(wanted, on="window")
    quantity = pl.lit(None, EXACT)
    for name in ("min", "max"):
        if name in has:
            quantity = pl.when(pl.col("aggregation") == name).then(name).otherwise(quantity)
    if "sum" in has:
        average = pl.col("sum") / pl.col("events").cast(EXACT)
        quantity = (
            pl.when(pl.col("aggregation").is_in(["sum", "count"]))
            .then("sum")
            .when(pl.col("aggregation") == "avg")
            .then(average)
            .otherwise(quantity)
        )
    return totals.select(
        *_GROUP, quantity=quantity, prorated_quantity=pl.lit(None, EXACT), event_count=pl.col("events")
    ).cast(QUANTITIES)
