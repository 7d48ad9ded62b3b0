"""What some prices need beside a quantity: single events, quantities by dimension, by meter or by bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import amount_meter_key, as_known
from valueverse.invoicing.lines.usage.bucket_usage import buckets_of
from valueverse.invoicing.lines.usage.charge_assignment import assign, split_label, with_cells
from valueverse.metering import (
    OK,
    WINDOW_KEYS,
    QuantityScope,
    events_by_days,
    meter_quantities,
    usage_near_windows,
    usage_of_customers,
)
from valueverse.rating import RatingDetail
from valueverse.schemas.rating import METER_QUANTITIES, RATED_EVENTS

if TYPE_CHECKING:
    from valueverse.invoicing.lines.plan_terms import Terms
    from valueverse.invoicing.lines.usage.consumption import AssignedUsage, Consumption

ADDS_UP = ("sum", "count")
"""Aggregations whose quantity is the sum of its events."""
_KEYS = ["tenant", "customer", "meter"]
_LINE = ["stretch", "charge", "label"]
_ORDER = ["time", "received_at", "source", "id"]
"""Most events have an instant of their own: the rest is read only for lines where it decides."""


def detail_of(
    lines: pl.DataFrame, taken: AssignedUsage, windows: pl.DataFrame, consumption: Consumption, terms: Terms
) -> RatingDetail:
    """Events, matrix parts, capacities and buckets of the lines whose price asks for them."""
    per_event = terms.book.charges.filter("per_event").select("charge")
    events = _events(lines.join(per_event, on="charge", how="semi"), taken.decided, windows, consumption)
    cells = _cells(lines.filter(pl.col("model") == "matrix"), taken.quantities, terms)
    carried = _carried_over(lines, windows, consumption, terms)
    by_days = _by_days(lines, windows, consumption, terms)
    capacities = (
        _on_line(lines.filter(pl.col("model") == "capacity"), taken.quantities)
        .join(windows.select("window", "meter"), on="window")
        .group_by("line", "meter", maintain_order=True)
        .agg(pl.col("quantity").sum())
        .select(METER_QUANTITIES.names())
        .cast(METER_QUANTITIES)
    )
    buckets = buckets_of(lines, taken.decided, consumption, terms)
    return RatingDetail(pl.concat([events, cells, carried, by_days]), capacities, buckets)


def _on_line(lines: pl.DataFrame, taken: pl.DataFrame) -> pl.DataFrame:
    return lines.select("line", *_LINE).join(taken, on=_LINE)


def _cells(lines: pl.DataFrame, taken: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Quantities of matrix lines by the dimensions that their price looks at."""
    if lines.is_empty():
        return RATED_EVENTS.to_frame()
    return (
        with_cells(_on_line(lines, taken), terms)
        .select("line", pl.col("quantity").alias("value"), pl.col("cell").alias("dimensions"))
        .with_columns(prorated=pl.lit(None), amount=pl.lit(None))
        .select(RATED_EVENTS.names())
        .cast(RATED_EVENTS)
    )


def _events(lines: pl.DataFrame, taken: pl.DataFrame, windows: pl.DataFrame, consumption: Consumption) -> pl.DataFrame:
    """The events of lines priced event by event, in time order.

    Maxima, distinct values and levels are no sum of events: such a quantity is priced as one event.
    """
    rules = ["tenant", "meter", "catalog_hash"]
    summed = consumption.meters.filter(pl.col("aggregation").is_in(ADDS_UP)).select(rules).unique()
    asked = windows.join(summed, on=rules, how="semi").select("window", *_KEYS, "subscription", "from", "to")
    wanted = _on_line(lines, taken).join(asked, on="window")
    if wanted.is_empty():
        return RATED_EVENTS.to_frame()
    spans = wanted.select("line", *_KEYS, "dimensions", "subscription", "from", "to")
    anyones = _unnamed(spans, consumption.unnamed).with_columns(pl.lit(None, pl.String).alias("subscription"))
    pieces = pl.concat([spans, anyones]).rename({"from": "since", "to": "until"})
    events = _events_in(pieces, consumption, ["time"])
    before = [pl.col(name) == pl.col(name).shift() for name in ("line", "time")]
    tied = events.filter(*before, pl.col("value") != pl.col("value").shift())["line"].unique()
    if not tied.is_empty():
        among = pl.col("line").is_in(tied.implode())
        decided = _events_in(pieces.filter(among), consumption, _ORDER).select(events.columns)
        events = pl.concat([events.filter(~among), decided]).sort("line", maintain_order=True)
    return (
        events.select("line", "value", prorated=pl.lit(None), amount=pl.lit(None), dimensions=pl.lit(None))
        .select(RATED_EVENTS.names())
        .cast(RATED_EVENTS)
    )


def _events_in(pieces: pl.DataFrame, consumption: Consumption, order: list[str]) -> pl.DataFrame:
    """line, value and these columns of the usage in pieces, in this order."""
    relevant = consumption.usage.filter(pl.col("status") == OK, as_known(consumption.known_at))
    return (
        usage_of_customers(usage_near_windows(relevant, pieces), pieces)
        .join(pieces.lazy(), on=[*WINDOW_KEYS, "dimensions"], nulls_equal=True)
        .filter(pl.col("time") >= pl.col("since"), pl.col("time") < pl.col("until"))
        .select("line", "value", *order)
        .collect(engine="streaming")
        .sort("line", *order)
    )


def _unnamed(spans: pl.DataFrame, claims: pl.DataFrame | None) -> pl.DataFrame:
    """The parts of these spans in which usage that names only a customer is their subscription's."""
    if claims is None:
        return spans
    claimed = claims.select(*_KEYS, "subscription", claim_from="from", claim_to="to")
    return (
        spans.join(claimed, on=[*_KEYS, "subscription"])
        .with_columns(
            pl.max_horizontal("from", "claim_from").alias("from"), pl.min_horizontal("to", "claim_to").alias("to")
        )
        .filter(pl.col("from") < pl.col("to"))
        .select(spans.columns)
    )


def _by_days(lines: pl.DataFrame, windows: pl.DataFrame, consumption: Consumption, terms: Terms) -> pl.DataFrame:
    """The events of graduated lines that count by days: each one's days are priced by the tiers that it fills."""
    rules = ["charge", "meter", "prorate", "round_prorated"]
    prorated = terms.takes.filter("prorate").select("terms", *rules)
    walks = pl.col("model").is_in(("graduated", "graduated_percentage")) & ~pl.col("across_segments")
    mine = lines.filter(walks).join(prorated, on=["charge", "meter"], how="semi")
    asked = windows.filter("prorate").join(mine, on=["stretch", "meter"], how="semi")
    if asked.is_empty():
        return RATED_EVENTS.to_frame()
    scope = QuantityScope(unnamed=consumption.unnamed)
    found = events_by_days(consumption.usage, asked, consumption.meters, consumption.known_at, scope)
    placed = found.with_row_index("order").join(
        asked.select("window", "stretch", "terms", *rules[1:]), on="window", maintain_order="left"
    )
    own = assign(placed, terms).join(prorated, on=prorated.columns, how="semi", nulls_equal=True)
    return (
        split_label(own, terms)
        .join(mine.select("line", *_LINE), on=_LINE)
        .sort("line", "order")
        .select("line", "value", "prorated", amount=pl.lit(None), dimensions=pl.lit(None))
        .select(RATED_EVENTS.names())
        .cast(RATED_EVENTS)
    )


def _carried_over(lines: pl.DataFrame, windows: pl.DataFrame, consumption: Consumption, terms: Terms) -> pl.DataFrame:
    """The amounts that the events of dynamic lines carry, summed: read as meters beside the one that is charged."""
    meters = dict(terms.charges.select("charge", "meter").iter_rows())
    rows = [
        (charge, meters[charge], amount_meter_key(meters[charge], path))
        for charge, path in terms.book.amount_paths.items()
    ]
    wanted = pl.DataFrame(rows, schema={"charge": pl.UInt32, "base": pl.String, "meter": pl.String}, orient="row")
    mine = lines.select("tenant", "line", *_LINE).join(wanted, on="charge")
    if mine.is_empty():
        return RATED_EVENTS.to_frame()
    asked = mine.select("stretch", "base", "meter").unique(maintain_order=True)
    beside = (
        windows.unique(["stretch", "meter"], maintain_order=True)
        .rename({"meter": "base"})
        .join(asked, on=["stretch", "base"])
        .drop("window")
        .with_row_index("window")
    )
    claims = None
    if consumption.unnamed is not None:
        bases = mine.select("tenant", "base", "meter").unique()
        named = consumption.unnamed.rename({"meter": "base"}).join(bases, on=["tenant", "base"])
        claims = named.select(consumption.unnamed.columns)
    found = meter_quantities(
        consumption.usage, beside, consumption.meters, consumption.known_at, QuantityScope(unnamed=claims)
    )
    placed = found.join(beside.select("window", "stretch", "terms", "base", carried="meter"), on="window")
    labelled = split_label(assign(placed.rename({"base": "meter"}), terms).drop_nulls("charge"), terms)
    return (
        labelled.join(mine.rename({"meter": "carried"}), on=[*_LINE, "carried"])
        .select(
            "line",
            pl.col("quantity").alias("amount"),
            value=pl.lit(None),
            prorated=pl.lit(None),
            dimensions=pl.lit(None),
        )
        .select(RATED_EVENTS.names())
        .cast(RATED_EVENTS)
    )
