"""Local days and UTC instants, vectorised over rows that each name their own time zone.

A local midnight that does not exist (clocks go forward over it, or a whole day is skipped) becomes the first instant
after the gap; one that happens twice becomes the earlier instant. So the days of a zone tile time whatever its clocks
do.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import polars as pl

from valueverse.schemas.types import INSTANT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

DateOrExpr = date | pl.Expr
"""A date, or one of each row: a window may be another one for each tenant."""
_SECONDS_PER_DAY = 86_400


def _after_gap(days: pl.Series, zone: str) -> pl.DataFrame:
    """First instants at or after midnights that do not exist; one row per distinct day."""
    seconds = pl.int_ranges(0, _SECONDS_PER_DAY + 1).alias("second")
    local = pl.col("day").cast(pl.Datetime("us")) + pl.duration(seconds=pl.col("second"))
    return (
        days.unique()
        .to_frame("day")
        .with_columns(seconds)
        .explode("second")
        .with_columns(local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").alias("after_gap"))
        .drop_nulls("after_gap")
        .group_by("day")
        .agg(pl.col("after_gap").min().dt.convert_time_zone("UTC"))
    )


def date_in(zone: str, instant: str) -> pl.Expr:
    """The local date of a UTC instant (column) in a zone."""
    return pl.col(instant).dt.convert_time_zone(zone).dt.date()


def with_midnights(rows: pl.LazyFrame, zone: str, days: Mapping[str, str]) -> pl.DataFrame:
    """The rows with the UTC instants at which local dates begin in a zone.

    Args:
        rows: of the zone.
        zone: its name.
        days: the column of the dates, by the name of the column of their instants.
    """
    found = rows.with_columns(
        pl.col(day)
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone("UTC")
        .alias(name)
        for name, day in days.items()
    ).collect()
    for name, day in days.items():
        if found[name].null_count() > found[day].null_count():
            missing = found.filter(pl.col(name).is_null() & pl.col(day).is_not_null())[day]
            found = (
                found.join(_after_gap(missing, zone), left_on=day, right_on="day", how="left", maintain_order="left")
                .with_columns(pl.coalesce(name, "after_gap").alias(name))
                .drop("after_gap")
            )
    return found


def zone_parts(frame: pl.DataFrame, zone: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """The zones that a column of ``frame`` names, each with its rows in their order."""
    if frame[zone].n_unique() == 1:
        # The rows of one customer, as a rule: taking them apart would take longer than what is looked for.
        yield str(frame[zone][0]), frame
        return
    for key, rows in frame.group_by(zone, maintain_order=True):
        yield str(key[0]), rows


def per_zone(frame: pl.DataFrame, zone: str, found: Callable[[pl.DataFrame, str], pl.DataFrame]) -> pl.DataFrame:
    """What ``found`` makes of the rows of each zone, in the order of ``frame``, which has rows."""
    if frame[zone].n_unique() == 1:
        return found(frame, str(frame[zone][0]))
    parts = [found(rows, key) for key, rows in zone_parts(frame.with_row_index("_row"), zone)]
    return pl.concat(parts).sort("_row").drop("_row")


def local_midnight(frame: pl.DataFrame, day: DateOrExpr, zone: str, name: str) -> pl.DataFrame:
    """Add ``name``: the UTC instant at which the local date ``day`` begins in the zone that column ``zone`` names."""
    if frame.is_empty():
        return frame.with_columns(pl.lit(None, INSTANT).alias(name))
    days = day if isinstance(day, pl.Expr) else pl.lit(day)

    def begun(rows: pl.DataFrame, key: str) -> pl.DataFrame:
        return with_midnights(rows.lazy().with_columns(days.cast(pl.Date).alias("_day")), key, {name: "_day"})

    return per_zone(frame, zone, begun).drop("_day")


def local_date(frame: pl.DataFrame, instant: pl.Expr, zone: str, name: str) -> pl.DataFrame:
    """Add ``name``: the local date of a UTC instant in the zone that column ``zone`` names."""
    if frame.is_empty():
        return frame.with_columns(pl.lit(None, pl.Date).alias(name))

    def dated(rows: pl.DataFrame, key: str) -> pl.DataFrame:
        return rows.with_columns(instant.dt.convert_time_zone(key).dt.date().alias(name))

    return per_zone(frame, zone, dated)


def local_later(frame: pl.DataFrame, instant: str, seconds: str, zone: str, name: str) -> pl.DataFrame:
    """Add ``name``: the UTC instant that lies ``seconds`` after ``instant`` (columns), whole days of them by the local
    calendar: a day of 23 or 25 hours is one day (billing.md, Proration)."""
    if frame.is_empty():
        return frame.with_columns(pl.lit(None, INSTANT).alias(name))
    days, rest = pl.col(seconds) // _SECONDS_PER_DAY, pl.duration(seconds=pl.col(seconds) % _SECONDS_PER_DAY)
    absolute = pl.col(instant) + pl.duration(seconds=pl.col(seconds))

    def later(rows: pl.DataFrame, key: str) -> pl.DataFrame:
        clock = pl.col(instant).dt.convert_time_zone(key).dt.replace_time_zone(None) + pl.duration(days=days)
        # The clock shows the time never where it goes forward over it, and twice where it goes back.
        shown = clock.dt.replace_time_zone(key, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")
        return rows.with_columns(
            pl.when(days == 0).then(absolute).otherwise(pl.coalesce(shown + rest, absolute)).alias(name)
        )

    return per_zone(frame, zone, later)
