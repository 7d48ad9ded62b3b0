"""Quantities with a level or a memory: latest, unique_count, weighted_sum, carried-over and prorated sums.

Rules: billing.md, Metering. Prorated quantities count whole days in the window's time zone, both ends
included, over the days of the full period.
"""

from __future__ import annotations

from decimal import Decimal

import polars as pl

from valueverse.catalog import BEGINNING
from valueverse.metering.additive_aggregations import RANGE, on_lines
from valueverse.metering.window_join import rows_in_pieces, usage_near_windows, usage_of_customers
from valueverse.money import round_exact
from valueverse.schemas.metering import WINDOW_QUANTITIES
from valueverse.schemas.types import EXACT
from valueverse.subscriptions import local_date

_BEFORE = pl.duration(microseconds=1)
_GROUP = ["window", "dimensions"]
_ORDER = ["time", "received_at", "id", "source"]
_ROW = ["window", "dimensions", *_ORDER, "value", "text_value", "operation"]
_WINDOW = [
    "window",
    "from",
    "to",
    "full_from",
    "full_to",
    "timezone",
    "aggregation",
    "prorate",
    "round_prorated",
]
_MEMBER = [*_GROUP, "text_value"]


def level_quantities(
    usage: pl.LazyFrame, pieces: pl.DataFrame, lines: pl.DataFrame | None, openings: pl.DataFrame
) -> pl.DataFrame:
    """Quantities of meters whose events have to be seen one by one, in time order.

    Args:
        usage: relevant USAGE rows.
        pieces: windows as ``quantities`` lays them out; ``since`` null = from the first event on.
        lines, openings: see ``meter_quantities``.
    """
    if pieces.is_empty():
        return WINDOW_QUANTITIES.to_frame()
    near = usage_of_customers(usage_near_windows(usage, pieces), pieces)
    rows = rows_in_pieces(near, pieces, _columns(near, pieces)).collect(engine="streaming")
    rows = rows if lines is None else on_lines(rows, lines)
    windows = pieces.select(_WINDOW).unique("window")
    rows = pl.concat([rows, _opening_rows(openings, rows)]).join(windows, on="window")
    rows = rows.with_columns((pl.col("time") >= pl.col("from")).alias("inside"))
    counts = rows.group_by(_GROUP).agg(pl.col("inside").sum().cast(pl.Int64).alias("event_count"))
    found = [_QUANTITY[kind](part) for kind, part in _by_aggregation(rows)]
    by_days = _by_aggregation(rows.filter("prorate"))
    prorated = [_PRORATED[kind](part) for kind, part in by_days if kind in _PRORATED]
    empty = WINDOW_QUANTITIES.to_frame()
    return (
        counts.join(pl.concat([empty.select(*_GROUP, "quantity"), *found]), on=_GROUP)
        .join(pl.concat([empty.select(*_GROUP, "prorated_quantity"), *prorated]), on=_GROUP, how="left")
        .select(WINDOW_QUANTITIES.names())
    )


def _columns(near: pl.LazyFrame, pieces: pl.DataFrame) -> list[str]:
    """What is read of each event: the order of events matters not where members are only ever added."""
    if (pieces["aggregation"] != "unique_count").any() or pieces["prorate"].any():
        return _ROW[1:]
    removed = near.filter(pl.col("operation") == "remove").select(pl.len()).collect(engine="streaming").item()
    return _ROW[1:] if removed else ["dimensions", "time", "text_value", "operation"]


def _by_aggregation(rows: pl.DataFrame) -> list[tuple[str, pl.DataFrame]]:
    return [(str(kind), part) for (kind,), part in rows.partition_by("aggregation", as_dict=True).items()]


def _opening_rows(openings: pl.DataFrame, like: pl.DataFrame) -> pl.DataFrame:
    """What stands at the start, as events before every other."""
    events = openings.select(
        "window",
        "dimensions",
        BEGINNING.alias("time"),
        BEGINNING.alias("received_at"),
        pl.lit("").alias("id"),
        pl.lit("").alias("source"),
        "value",
        "text_value",
        pl.lit("add").alias("operation"),
    )
    return events.select(like.columns).cast(like.schema)


def _judged(rows: pl.DataFrame, one: str, other: str) -> pl.DataFrame:
    """Add ``fits``: whether the group's sum of the products ``one x other`` stays below what a Decimal
    holds."""
    size = pl.col(one).cast(pl.Float64) * pl.col(other).cast(pl.Float64)  # float: a range check
    sizes = rows.group_by(_GROUP).agg((size.abs().sum() < RANGE).alias("fits"))
    if sizes["fits"].all():
        return rows.with_columns(pl.lit(value=True).alias("fits"))
    return rows.join(sizes, on=_GROUP)


def _sum(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by(_GROUP).agg(pl.col("value").sum().alias("quantity"))


def _latest(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.group_by(_GROUP).agg(pl.col("value").sort_by(_ORDER).last().alias("quantity"))


def _unique_count(rows: pl.DataFrame) -> pl.DataFrame:
    if not (rows["operation"] == "remove").any():
        distinct = pl.col("text_value").n_unique().cast(EXACT)
        return rows.group_by(_GROUP).agg(distinct.alias("quantity"))
    # A member is present at the end if its last operation is an addition; what repeats in between changes
    # nothing.
    present = pl.col("operation").sort_by(_ORDER).last() == "add"
    return (
        rows.group_by(_MEMBER)
        .agg(present.alias("present"))
        .group_by(_GROUP)
        .agg(pl.col("present").sum().cast(EXACT).alias("quantity"))
    )


def _seconds(duration: pl.Expr) -> pl.Expr:
    return duration.dt.total_microseconds().cast(EXACT) * pl.lit(Decimal("0.000001")).cast(EXACT)


def _weighted_sum(rows: pl.DataFrame) -> pl.DataFrame:
    held = _seconds(pl.col("to") - pl.max_horizontal("time", "from"))
    whole = _seconds(pl.col("full_to") - pl.col("full_from"))
    rows = _judged(rows.with_columns(held.alias("held"), whole.alias("whole")), "value", "held")
    integral = (pl.when("fits").then("value") * pl.col("held")).sum() / pl.col("whole").first()
    return rows.group_by(_GROUP).agg(pl.when(pl.col("fits").all()).then(integral).alias("quantity"))


def _days(first: str, last: str) -> pl.Expr:
    """Whole days from ``first`` to ``last``, both included."""
    return (pl.col(last) - pl.col(first)).dt.total_days().cast(EXACT) + pl.lit(1).cast(EXACT)


def _with_days(rows: pl.DataFrame) -> pl.DataFrame:
    """Add first_day and last_day of the window and ``full_days`` of its period."""
    instants = {
        "first_day": pl.col("from"),
        "last_day": pl.col("to") - _BEFORE,
        "full_first": pl.col("full_from"),
        "full_last": pl.col("full_to") - _BEFORE,
    }
    for name, instant in instants.items():
        rows = local_date(rows, instant, "timezone", name)
    return rows.with_columns(_days("full_first", "full_last").alias("full_days"))


def _share_of_days(parts: pl.DataFrame) -> pl.DataFrame:
    """Unit-days over the days of the period; the one division is the last step."""
    share = pl.col("unit_days").sum() / pl.col("full_days").first()
    # A missing part is one that was out of range; the total is missing with it, never smaller.
    whole = pl.col("unit_days").is_not_null().all()
    totals = parts.group_by(*_GROUP, "round_prorated").agg(pl.when(whole).then(share).alias("prorated_quantity"))
    rounded = [totals.clear()]
    for (places,), part in totals.partition_by("round_prorated", as_dict=True).items():
        exact = pl.col("prorated_quantity")
        rounded.append(part if places is None else part.with_columns(round_exact(exact, int(places), "up").cast(EXACT)))
    return pl.concat(rounded).select(*_GROUP, "prorated_quantity")


def prorated_events(usage: pl.LazyFrame, pieces: pl.DataFrame) -> pl.DataFrame:
    """The events behind prorated sums, in time order: window, dimensions, value, prorated (null: out of range).

    Args:
        usage: relevant USAGE rows.
        pieces: prorated windows of sums as ``quantities`` lays them out.
    """
    rows = rows_in_pieces(usage_near_windows(usage, pieces), pieces, _ROW[1:]).collect(engine="streaming")
    windows = pieces.select(_WINDOW).unique("window")
    parts = _unit_days(rows.join(windows, on="window").with_columns((pl.col("time") >= pl.col("from")).alias("inside")))
    share = parts.with_columns((pl.col("unit_days") / pl.col("full_days")).alias("prorated"))
    return share.sort("window", *_ORDER).select("window", "dimensions", "value", "prorated")


def _prorated_sum(rows: pl.DataFrame) -> pl.DataFrame:
    return _share_of_days(_unit_days(rows))


def _unit_days(rows: pl.DataFrame) -> pl.DataFrame:
    """What was carried over counts every day of the window, a new unit from its own day on."""
    dated = local_date(_with_days(rows), pl.col("time"), "timezone", "day")
    dated = dated.with_columns(pl.when("inside").then("day").otherwise("first_day").alias("start"))
    judged = _judged(dated.with_columns(_days("start", "last_day").alias("days")), "value", "days")
    unit_days = pl.when("fits").then("value") * pl.col("days")
    return judged.with_columns(unit_days.alias("unit_days"))


def _prorated_unique_count(rows: pl.DataFrame) -> pl.DataFrame:
    """Each member counts the days on which it was present, each day once though it left and came back."""
    dated = _with_days(rows).sort(*_MEMBER, *_ORDER)
    adds = pl.col("operation") == "add"
    before = adds.shift(1).over(_MEMBER).fill_null(value=False)
    # An addition after an addition and a removal after a removal (or first) change nothing.
    changes = dated.filter(adds != before)
    end = pl.col("time").shift(-1).over(_MEMBER)
    stays = changes.with_columns(end.alias("left")).filter(
        adds, pl.col("left").is_null() | (pl.col("left") >= pl.col("from"))
    )
    stays = local_date(stays, pl.col("time"), "timezone", "day")
    stays = local_date(stays, pl.col("left"), "timezone", "left_day").with_columns(
        pl.when("inside").then("day").otherwise("first_day").alias("start"),
        pl.coalesce("left_day", "last_day").alias("end"),
    )
    bridged = (
        (pl.col("start") == pl.col("end").shift(1).over(_MEMBER)).fill_null(value=False).cast(pl.Int64).cast(EXACT)
    )
    counted = stays.with_columns((_days("start", "end") - bridged).alias("unit_days"))
    # Where nobody stayed, what was removed is counted still: as 0.
    nobody = dated.unique(_GROUP).with_columns(pl.lit(0).cast(EXACT).alias("unit_days"))
    needed = [*_GROUP, "round_prorated", "full_days", "unit_days"]
    return _share_of_days(pl.concat([counted.select(needed), nobody.select(needed)]))


_QUANTITY = {"sum": _sum, "latest": _latest, "unique_count": _unique_count, "weighted_sum": _weighted_sum}
_PRORATED = {"sum": _prorated_sum, "unique_count": _prorated_unique_count}
