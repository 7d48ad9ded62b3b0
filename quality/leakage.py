"""Usage that stops, or falls far outside a customer's own weekly pattern: money that may be leaking.

Each customer and meter is compared with itself on the same weekday of the eight weeks before: median, and the median
absolute deviation as the measure of what is usual (docs/decisions/1401). Exact sums decide; nothing is learnt.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import AMOUNT_MARK
from valueverse.metering import OK
from valueverse.platform.stores.tenant_store import tenant_keys
from valueverse.platform.warehouse import connect, copy_frame
from valueverse.schemas.checks import LEAKAGE_FLAGS
from valueverse.schemas.types import EXACT
from valueverse.services.lake_tables import USAGE_TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import Settings

WEEKS = 8
"""Weeks of the same weekday that make the pattern."""
LEAST = 4
"""Weeks a customer must have been seen for: younger ones have no pattern yet."""
FACTOR = 6
"""Deviations from the median that are far outside."""
FLOOR = 10
"""Percent of the median that a deviation is at least: a customer who never varies is not flagged for a trifle."""
SILENT = 3
"""Days on which usage was usual, one after the other, without any: it has stopped."""
_SERIES = ["tenant", "customer", "meter"]
_MIDDLE = (pl.col("weeks") - 1) // 2
"""Place of the lower middle of an even number: a value that was seen, so that no quotient is rounded."""


def flags_of(daily: pl.DataFrame, last: date) -> pl.DataFrame:
    """LEAKAGE_FLAGS of the day ``last``.

    Args:
        daily: tenant, customer, meter, day, quantity: one row per day with usage, of at least WEEKS weeks before.
        last: the last day that is complete.
    """
    first_seen = daily.group_by(_SERIES).agg(pl.col("day").min().alias("first"))
    days = pl.date_range(last - timedelta(days=7 * WEEKS + SILENT + 7), last, "1d", eager=True)
    whole = (
        first_seen.filter(pl.col("first") <= last - timedelta(days=7 * LEAST))
        .join(days.to_frame("day"), how="cross")
        .filter(pl.col("day") >= pl.col("first"))
        .join(daily, on=[*_SERIES, "day"], how="left")
        .with_columns(pl.col("quantity").fill_null(0))
        .sort(*_SERIES, "day")
    )
    usual = _usual(whole)
    return pl.concat([_outside(usual, last), _stopped(usual, last)]).sort("tenant_id", "customer", "meter", "reason")


def _usual(whole: pl.DataFrame) -> pl.DataFrame:
    """Add ``median`` of the same weekday in the weeks before each day, and those values in order (``past``)."""
    before = [pl.col("quantity").shift(7 * week).over(_SERIES).alias(f"w{week}") for week in range(1, WEEKS + 1)]
    listed = whole.with_columns(before).with_columns(
        pl.concat_list([f"w{week}" for week in range(1, WEEKS + 1)]).list.drop_nulls().list.sort().alias("past")
    )
    counted = listed.with_columns(pl.col("past").list.len().alias("weeks"))
    return counted.with_columns(pl.col("past").list.get(_MIDDLE, null_on_oob=True).alias("median"))


def _spread(usual: pl.DataFrame) -> pl.DataFrame:
    """Add ``spread``: the median distance of ``past`` from its median."""
    away = (
        usual.select(*_SERIES, "day", "median", "past")
        .explode("past")
        .with_columns((pl.col("past") - pl.col("median")).abs().alias("away"))
        .group_by(*_SERIES, "day")
        .agg(pl.col("away").sort().alias("aways"))
    )
    spread = pl.col("aways").list.get(_MIDDLE, null_on_oob=True)
    return usual.join(away, on=[*_SERIES, "day"], how="left").with_columns(spread.alias("spread"))


def _outside(usual: pl.DataFrame, last: date) -> pl.DataFrame:
    floor = pl.col("median") * pl.lit(FLOOR).cast(EXACT) / pl.lit(100).cast(EXACT)
    limit = pl.max_horizontal("spread", floor) * pl.lit(FACTOR).cast(EXACT)
    # The spread is of that day alone: it costs more than all medians together.
    today = usual.filter(pl.col("day") == last, pl.col("weeks") >= LEAST, pl.col("quantity") > 0)
    rows = _spread(today).filter((pl.col("quantity") - pl.col("median")).abs() > limit)
    return _flags(rows, "outside_pattern", pl.col("day"))


def _stopped(usual: pl.DataFrame, last: date) -> pl.DataFrame:
    """Silent on the last SILENT days on which usage was usual."""
    expected = usual.filter(pl.col("weeks") >= LEAST, pl.col("median") > 0)
    recent = expected.group_by(_SERIES, maintain_order=True).tail(SILENT)
    silent = (
        recent.group_by(_SERIES, maintain_order=True)
        .agg(
            pl.len().alias("days"),
            pl.col("quantity").max().alias("most"),
            pl.col("day").min().alias("since"),
            pl.col("day").max().alias("day"),
            pl.col("median").sum().alias("median"),
        )
        .filter(pl.col("days") == SILENT, pl.col("most") == 0, pl.col("day") > last - timedelta(days=7))
        .with_columns(pl.col("most").alias("quantity"), pl.lit(last).alias("day"))
    )
    return _flags(silent, "stopped", pl.col("since"))


def _flags(rows: pl.DataFrame, reason: str, since: pl.Expr) -> pl.DataFrame:
    return rows.select(
        pl.col("tenant").alias("tenant_id"),
        "customer",
        "meter",
        "day",
        pl.lit(reason).alias("reason"),
        pl.col("median").alias("expected"),
        pl.col("quantity").alias("seen"),
        since.alias("since"),
    ).cast(LEAKAGE_FLAGS)


def flag_last_day(
    settings: Settings, lake: Lake, month: date, today: date, tenants: Sequence[str] | None = None
) -> pl.DataFrame:
    """``flag_leakage`` of the last complete day in the lake if it lies in the month (a first day); else none."""
    last = max((day for day in lake.dates(USAGE_TABLE) if day < today), default=None)
    if last is None or last.replace(day=1) != month:
        return LEAKAGE_FLAGS.to_frame()
    return flag_leakage(settings, lake, last, tenants)


def flag_leakage(settings: Settings, lake: Lake, last: date, tenants: Sequence[str] | None = None) -> pl.DataFrame:
    """Find the flags of a day and write them to ``billing.leakage_flag``, in place of that day's.

    Args:
        settings: where Postgres is.
        lake: where the usage is.
        last: the last complete day (UTC).
        tenants: tenant keys; None for all.
    """
    days = [last - timedelta(days=back) for back in range(7 * (WEEKS + LEAST) + SILENT + 7)]
    usage = lake.scan(USAGE_TABLE, days).filter(
        pl.col("status") == OK,
        pl.col("known_until").is_null(),
        ~pl.col("meter").str.contains(AMOUNT_MARK, literal=True),
    )
    if tenants is not None:
        usage = usage.filter(pl.col("tenant").is_in(list(tenants)))
    value = pl.coalesce("value", pl.lit(1).cast(EXACT)).sum()
    daily = (
        usage.drop_nulls("customer")
        .group_by(*_SERIES, pl.col("event_date").alias("day"))
        .agg(value.alias("quantity"))
        .collect()
    )
    found = flags_of(daily, last)
    with connect(settings, "builder") as connection:
        known = tenant_keys(connection)
        chosen = [one for one in known if tenants is None or one in tenants]
        connection.execute("delete from billing.leakage_flag where day = %s and tenant_id = any(%s)", [last, chosen])
        selected = found.filter(pl.col("tenant_id").is_in(chosen))
        if not selected.is_empty():
            copy_frame(connection, "billing.leakage_flag", selected)
        connection.commit()
    return found
