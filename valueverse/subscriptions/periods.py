"""Billing periods: [from, to) in local days turned into UTC instants, for any number of subscriptions at once.

``anniversary`` keeps the anchor's day and clamps it to the month's length without drifting (31 Jan, 28 Feb, 31 Mar;
29 Feb
returns in leap years). ``calendar`` starts weeks on Monday, months on the 1st, quarters in Jan/Apr/Jul/Oct and years on
1 January; the anchor then only sets the phase where ``every`` > 1.
"""

from __future__ import annotations

import polars as pl

from valueverse.dates import month_index
from valueverse.subscriptions.zones import date_in, per_zone, with_midnights, zone_parts

FIRST_YEAR, LAST_YEAR = 1900, 2999
"""Years that are billed; one period more on either side then still has a four-digit year."""

MONTHS = {"month": 1, "quarter": 3, "year": 12}
DAYS = {"day": 1, "week": 7}
UNITS = (*DAYS, *MONTHS)
ALIGNMENTS = ("anniversary", "calendar")

_CALENDAR = pl.col("align") == "calendar"


def _by_days() -> pl.Expr:
    return pl.col("unit").is_in(list(DAYS))


def _step() -> pl.Expr:
    """Length of a period in its own measure: days, or months."""
    return pl.col("unit").replace_strict(DAYS | MONTHS, return_dtype=pl.Int64) * pl.col("every")


def _phase() -> pl.Expr:
    """Where boundary 0 lies: an epoch day, or a month index."""
    monday = pl.col("anchor").dt.truncate("1w")
    day = pl.when(_CALENDAR & (pl.col("unit") == "week")).then(monday).otherwise(pl.col("anchor"))
    month = month_index(pl.col("anchor"))
    unit = pl.col("unit").replace_strict(MONTHS, default=1, return_dtype=pl.Int64)
    aligned = pl.when(_CALENDAR).then(month // unit * unit).otherwise(month)
    return pl.when(_by_days()).then(day.cast(pl.Int32).cast(pl.Int64)).otherwise(aligned)


def _place(day: pl.Expr) -> pl.Expr:
    """A date in the measure that the row's unit counts in."""
    return pl.when(_by_days()).then(day.cast(pl.Int32).cast(pl.Int64)).otherwise(month_index(day))


def _boundary(number: pl.Expr) -> pl.Expr:
    """Local date on which period ``number`` begins."""
    place = pl.col("phase") + number * pl.col("step")
    by_days = place.cast(pl.Int32).cast(pl.Date)
    first = pl.date(place // 12, place % 12 + 1, 1)
    day = pl.when(_CALENDAR).then(1).otherwise(pl.min_horizontal(pl.col("anchor").dt.day(), first.dt.days_in_month()))
    return pl.when(_by_days()).then(by_days).otherwise(pl.date(place // 12, place % 12 + 1, day))


def overlapping_periods(schedule: pl.DataFrame) -> pl.DataFrame:
    """Whole periods that overlap [window_from, window_to), clipped to the subscription's [start, end) only.

    Args:
        schedule: key, every (Int), unit, align, anchor (Date, local), timezone, window_from, window_to (instants),
            start, end (instants or null: not clipped on that side); optional timezone_effective_from, zone_day: the
            instant at which the period before, in another time zone, ended, and its local date: the period that begins
            on that date begins at that instant.

    Returns:
        key, from, to, full_from, full_to (UTC instants), first_day, last_day (the local dates that the full period goes
        from and to), used_days, full_days (Int32, local calendar days: a start day counts, an end day does not).
    """
    parts = [_periods_in(zone, rows) for zone, rows in zone_parts(schedule, "timezone")]
    return pl.concat(parts or [_periods_in("UTC", schedule)]).sort("key", "from")


def _periods_in(zone: str, schedule: pl.DataFrame) -> pl.DataFrame:
    """``overlapping_periods`` of one time zone, in whatever order."""
    numbered = (
        schedule.lazy()
        .with_columns(
            pl.col("every").cast(pl.Int64),
            date_in(zone, "window_from").alias("first_day"),
            date_in(zone, "window_to").alias("last_day"),
        )
        .with_columns(_step().alias("step"), _phase().alias("phase"))
        .with_columns(
            ((_place(pl.col("first_day")) - pl.col("phase")) // pl.col("step") - 1).alias("lowest"),
            ((_place(pl.col("last_day")) - pl.col("phase")) // pl.col("step") + 1).alias("highest"),
        )
        .with_columns(pl.int_ranges("lowest", pl.col("highest") + 1).alias("number"))
        .explode("number")
        .drop_nulls("number")
        .with_columns(_boundary(pl.col("number")).alias("first_day"), _boundary(pl.col("number") + 1).alias("last_day"))
    )
    placed = with_midnights(numbered, zone, {"full_from": "first_day", "full_to": "last_day"}).lazy()
    if "timezone_effective_from" in schedule.columns:
        placed = _joined(placed)
    full_days = (pl.col("last_day") - pl.col("first_day")).dt.total_days().cast(pl.Int32)
    return (
        placed.with_columns(
            pl.max_horizontal("full_from", "start").alias("from"), pl.min_horizontal("full_to", "end").alias("to")
        )
        .filter(
            (pl.col("full_from") < pl.col("window_to"))
            & (pl.col("full_to") > pl.col("window_from"))
            & (pl.col("from") < pl.col("to"))
        )
        .select(
            "key", "from", "to", "full_from", "full_to", "first_day", "last_day",
            _used_days(zone).alias("used_days"), full_days.alias("full_days"),
        )
        .collect()
    )  # fmt: skip


def _joined(placed: pl.LazyFrame) -> pl.LazyFrame:
    """Periods after a time-zone change: the first one starts where the last one ended, whatever its own midnight."""
    first = pl.col("first_day") == pl.col("zone_day")
    return placed.filter(pl.col("zone_day").is_null() | (pl.col("last_day") > pl.col("zone_day"))).with_columns(
        pl.when(first).then("timezone_effective_from").otherwise("full_from").alias("full_from")
    )


def _used_days(zone: str) -> pl.Expr:
    """The local calendar days of [from, to), which lies in the full period of the row."""
    # The instant of a boundary may lie on another day, where a zone skipped one or another zone held before: the plan's
    # own dates count then.
    from_day = pl.when(pl.col("from") == pl.col("full_from")).then("first_day").otherwise(date_in(zone, "from"))
    to_day = pl.when(pl.col("to") == pl.col("full_to")).then("last_day").otherwise(date_in(zone, "to"))
    return (to_day - from_day).dt.total_days().cast(pl.Int32)


def with_used_days(rows: pl.DataFrame) -> pl.DataFrame:
    """Add used_days: the local calendar days of [from, to), which lies in the full period of the row.

    Args:
        rows: from, to, full_from, full_to, first_day, last_day, timezone.
    """
    if rows.is_empty():
        return rows.with_columns(pl.lit(None, pl.Int32).alias("used_days"))
    return per_zone(rows, "timezone", lambda own, zone: own.with_columns(_used_days(zone).alias("used_days")))
