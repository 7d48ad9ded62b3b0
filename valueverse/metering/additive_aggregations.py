"""Quantities that add up from parts: count, sum, min, max and avg over [since, until)."""

from __future__ import annotations

import polars as pl

from valueverse.metering.window_join import WINDOW_KEYS, rows_in_pieces, usage_near_windows, usage_of_customers
from valueverse.schemas.metering import WINDOW_QUANTITIES
from valueverse.schemas.types import EXACT

RANGE = 9e19
"""A Decimal(38, 18) holds 20 digits before the point; a total beyond this is left missing, since an
overflow would raise for every tenant."""
MOST_EDGES = 32
"""Distinct starts and ends of windows up to which rows are bucketed by time instead of joined to their windows."""
_GROUP = ["window", "dimensions"]


def rollup_quantities(usage: pl.LazyFrame, pieces: pl.DataFrame, lines: pl.DataFrame | None) -> pl.DataFrame:
    """Quantities of additive meters: one scan that groups the usage.

    Most runs close the same few periods for everybody. Then rows are grouped as they are, by KEYS and by the stretch
    between two neighbouring edges, and only the groups are joined to windows.

    Args:
        usage: relevant USAGE rows.
        pieces: windows as ``quantities`` lays them out: KEYS, window, since, until, aggregation.
        lines: see ``quantities.Scope``.
    """
    if pieces.is_empty():
        return WINDOW_QUANTITIES.to_frame()
    edges = pl.concat([pieces["since"], pieces["until"]]).unique().sort()
    wanted = usage_near_windows(usage, pieces)
    if len(edges) <= MOST_EDGES:
        found = _grouped_between_edges(wanted, pieces, edges)
    else:
        found = (
            rows_in_pieces(wanted, pieces, ["dimensions", "value"])
            .group_by(_GROUP)
            .agg(*_parts(pieces))
            .collect(engine="streaming")
        )
    return _combined(found if lines is None else on_lines(found, lines), pieces)


def on_lines(rows: pl.DataFrame, lines: pl.DataFrame) -> pl.DataFrame:
    """Rows of window and dimensions, their dimensions replaced by the line they count on; the rest left out."""
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


def _grouped_between_edges(usage: pl.LazyFrame, pieces: pl.DataFrame, edges: pl.Series) -> pl.DataFrame:
    inner = list(edges)[1:-1]
    usage = usage.filter(pl.col("time") < pl.lit(edges.max()))
    if not inner:
        whole = usage.group_by(*WINDOW_KEYS, "dimensions").agg(*_parts(pieces)).collect(engine="streaming")
        filled = pieces.filter(pl.col("since") < pl.col("until")).select(*WINDOW_KEYS, "window")
        return whole.join(filled, on=WINDOW_KEYS, nulls_equal=True)
    # Buckets of the few who are priced by them: grouping everybody's usage by hour or day costs far more.
    owners = pieces.select(WINDOW_KEYS).unique().with_row_index("owner")
    bucket = pl.sum_horizontal(
        pl.lit(0, pl.UInt8), *((pl.col("time") >= pl.lit(edge)).cast(pl.UInt8) for edge in inner)
    )
    found = (
        usage_of_customers(usage, pieces)
        .join(owners.lazy(), on=WINDOW_KEYS, nulls_equal=True)
        .group_by("owner", "dimensions", bucket.alias("bucket"))
        .agg(*_parts(pieces))
        .collect(engine="streaming")
    )
    first, last = (edges.search_sorted(pieces[side]) for side in ("since", "until"))
    spread = (
        pieces.with_columns(pl.int_ranges(first, last).cast(pl.List(pl.UInt8)).alias("bucket"))
        .join(owners, on=WINDOW_KEYS, nulls_equal=True)
        .select("owner", "window", "bucket")
        .explode("bucket")
    )
    return found.join(spread, on=["owner", "bucket"])


def _combined(found: pl.DataFrame, pieces: pl.DataFrame) -> pl.DataFrame:
    """One row per window and dimensions, with the quantity that its aggregation asks for."""
    has = set(found.columns)
    parts = [pl.col("events").sum()]
    if "sum" in has:
        # An overflow would raise for every tenant: a total beyond the range is left missing instead.
        size = pl.col("sum").cast(pl.Float64).abs().sum()  # float: a range check
        all_fit = bool(found.select(size < RANGE).item())
        fits = pl.lit(value=True) if all_fit else size.over(_GROUP) < RANGE
        found = found.with_columns(pl.when(fits).then("sum").alias("sum"), fits.alias("fits"))
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
    ).cast(WINDOW_QUANTITIES)
