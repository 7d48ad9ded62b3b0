"""What a meter comes to in the windows of a question: minutes to months, or the whole time that is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import polars as pl

from valueverse.catalog import as_known
from valueverse.errors import RefusalError
from valueverse.metering.quantities import meter_quantities
from valueverse.metering.usage_status import OK
from valueverse.schemas.metering import ASKED_USAGE, WINDOWS
from valueverse.subscriptions import local_midnight

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from datetime import datetime

WindowSize = Literal["minute", "hour", "day", "month"]
MOST_ROWS = 20_000
"""Rows of one answer."""
_OWNER = ("tenant", "customer")


@dataclass(frozen=True)
class UsageQuestion:
    """What is asked of a meter.

    Attributes:
        tenant: whose meter.
        meter: its key.
        begins, ends: usage in [begins, ends); None: of any time.
        size: of the windows, in ``timezone``; None: one window from the first usage to the last, or as asked for.
        timezone: an IANA name.
        customers: whose usage; empty: everybody's.
        by_customer: a quantity for each customer; else one for all of them together.
        group_by: dimensions whose values have a quantity each.
        filters: dimension -> values of it that count.
        known_at: what was known at this instant counts; None: what is known now.
    """

    tenant: str
    meter: str
    begins: datetime | None = None
    ends: datetime | None = None
    size: WindowSize | None = None
    timezone: str = "UTC"
    customers: Collection[str] = ()
    by_customer: bool = False
    group_by: tuple[str, ...] = ()
    filters: Mapping[str, Collection[str]] = field(default_factory=dict)
    known_at: datetime | None = None


def answer_usage(usage: pl.LazyFrame, meters: pl.DataFrame, question: UsageQuestion) -> pl.DataFrame:
    """The quantities (ASKED_USAGE) that the engine of billing gives, by window and what they are grouped by; a window
    without usage has no row. What counts together is put together by the meter's own rule: distinct values of two
    customers are counted once.

    Args:
        usage: USAGE of the tenant; of meters with a level, that of the time before the question too.
        meters: METERS.
        question: what is asked; its meter is one of them.

    Raises:
        RefusalError: ``too_many_rows``.
    """
    asked = _asked(usage, question)
    windows = _windows(asked, question)
    if windows.height > MOST_ROWS:
        raise _too_many(windows.height)
    numbered = windows.with_row_index("window").with_columns(
        pl.lit(None, pl.String).alias("subscription"),
        pl.lit(question.meter).alias("meter"),
        pl.max_horizontal("window_start", pl.lit(question.begins, WINDOWS["from"])).alias("from"),
        pl.min_horizontal("window_end", pl.lit(question.ends, WINDOWS["to"])).alias("to"),
    )
    numbered = numbered.filter(pl.col("from") < pl.col("to")).with_columns(full_from="from", full_to="to")
    if numbered.is_empty():
        return ASKED_USAGE.to_frame()
    found = meter_quantities(asked, numbered.select(WINDOWS.names()).cast(WINDOWS), meters, question.known_at)
    if found.height > MOST_ROWS:
        raise _too_many(found.height)
    rows = found.join(numbered.cast({"window": WINDOWS["window"]}), on="window")
    return ASKED_USAGE.conform(rows).sort(*_OWNER, "window_start", "dimensions")


def _too_many(rows: int) -> RefusalError:
    what = f"the answer would have {rows} rows or more, of {MOST_ROWS} at most: ask for less time, or larger windows"
    return RefusalError("too_many_rows", what, "windowSize")


def _asked(usage: pl.LazyFrame, question: UsageQuestion) -> pl.LazyFrame:
    """The usage that may count, with the dimensions and customers that have a quantity each, and no others."""
    own = usage.filter(
        pl.col("tenant") == question.tenant,
        pl.col("meter") == question.meter,
        pl.col("status") == OK,
        as_known(question.known_at),
    )
    if question.customers:
        own = own.filter(pl.col("customer").is_in(list(question.customers)))
    if question.ends is not None:
        own = own.filter(pl.col("time") < question.ends)
    names = sorted({*question.group_by, *question.filters})
    if names:
        fields = pl.Struct(dict.fromkeys(names, pl.String()))
        texts = pl.when(pl.col("dimensions") == "").then(pl.lit("{}")).otherwise("dimensions")
        own = own.with_columns(texts.str.json_decode(fields).alias("_values"))
    for name, wanted in question.filters.items():
        own = own.filter(pl.col("_values").struct.field(name).is_in(list(wanted)))
    grouped = pl.lit("")
    if question.group_by:
        grouped = pl.struct(pl.col("_values").struct.field(name) for name in question.group_by).struct.json_encode()
    if question.by_customer:
        own = own.filter(pl.col("customer").is_not_null())
    customer = pl.col("customer") if question.by_customer else pl.lit("")
    return own.with_columns(
        grouped.alias("dimensions"), customer.alias("customer"), pl.lit(None, pl.String).alias("subscription")
    ).drop("_values", strict=False)


def _windows(asked: pl.LazyFrame, question: UsageQuestion) -> pl.DataFrame:
    """tenant, customer, timezone, window_start, window_end: windows with usage."""
    zone = pl.lit(question.timezone).alias("timezone")
    time = pl.col("time")
    if question.size is None:
        start = pl.lit(question.begins, WINDOWS["from"]) if question.begins else time.min().dt.truncate("1m")
        end = pl.lit(question.ends, WINDOWS["to"]) if question.ends else time.max().dt.truncate("1m").dt.offset_by("1m")
        whole = asked.select(start.alias("window_start"), end.alias("window_end"))
        owners = asked.select(_OWNER).unique()
        return owners.join(whole, how="cross").select(*_OWNER, zone, "window_start", "window_end").collect()
    local = time.dt.convert_time_zone(question.timezone)
    if question.size in {"minute", "hour"}:
        # Counted from the local clock, not by it: an hour that the clocks repeat is two hours.
        minutes = local.dt.minute() if question.size == "hour" else pl.lit(0)
        past = pl.duration(minutes=minutes, seconds=local.dt.second(), nanoseconds=local.dt.nanosecond())
        started = (time - past).alias("window_start")
        found = (
            asked.select(*_OWNER, zone, started, _offset(time, question.timezone).alias("offset")).unique().collect()
        )
        ended = pl.col("window_start").dt.offset_by("1h" if question.size == "hour" else "1m").alias("window_end")
        return _cut_where_clocks_change(found.with_columns(ended), question.timezone).drop("offset")
    day = local.dt.date() if question.size == "day" else local.dt.date().dt.month_start()
    found = asked.select(*_OWNER, zone, day.alias("day")).unique().collect()
    following = pl.col("day").dt.offset_by("1d" if question.size == "day" else "1mo")
    begun = local_midnight(found, pl.col("day"), "timezone", "window_start")
    return local_midnight(begun, following, "timezone", "window_end").drop("day")


def _offset(instant: pl.Expr, timezone: str) -> pl.Expr:
    local = instant.dt.convert_time_zone(timezone)
    return local.dt.base_utc_offset() + local.dt.dst_offset()


def _cut_where_clocks_change(windows: pl.DataFrame, timezone: str) -> pl.DataFrame:
    """The windows, each with the minutes alone that have its ``offset`` from UTC: clocks that change by half an hour
    (Australia/Lord_Howe) end one hour early, or begin one late; else two windows would share the time between.
    """
    last = _offset(pl.col("window_end").dt.offset_by("-1us"), timezone)
    is_whole = (_offset(pl.col("window_start"), timezone) == pl.col("offset")) & (last == pl.col("offset"))
    cut = windows.filter(~is_whole).with_row_index("number")
    minutes = cut.join(pl.DataFrame({"minute": range(60)}), how="cross").with_columns(
        (pl.col("window_start") + pl.duration(minutes=pl.col("minute"))).alias("instant")
    )
    own = minutes.filter(_offset(pl.col("instant"), timezone) == pl.col("offset"))
    bounds = own.group_by("tenant", "customer", "number").agg(
        pl.col("instant").min().alias("from"), pl.col("instant").max().dt.offset_by("1m").alias("to")
    )
    mended = (
        cut.join(bounds, on=[*_OWNER, "number"])
        .with_columns(window_start="from", window_end="to")
        .select(windows.columns)
    )
    return pl.concat([windows.filter(is_whole), mended.select(windows.columns)])
