"""Time zones that change in mid-life: the running period keeps its end, the next one starts there.

A subscription's own zone wins and stays; else the customer's counts, else the tenant's, else the catalog's. A statement
made after the start takes effect when the running period ends (billing.md, Time), so that periods neither overlap nor
leave a gap. But the zone that a customer or tenant is created with holds from the start, if received by a day after
the start was: nothing was billed before it, and what is stated together is one statement.
"""

from __future__ import annotations

import polars as pl

from valueverse.catalog import BEGINNING
from valueverse.schemas.types import INSTANT
from valueverse.subscriptions.event_fields import EVENT_ORDER, event_field
from valueverse.subscriptions.periods import overlapping_periods
from valueverse.subscriptions.zones import local_date

_CUSTOMER = ["tenant", "customer"]
_KEY = ["tenant", "subscription"]
_AT_ONCE = pl.duration(days=1)
_FIRST = ("zone", "time", "received_at", "created")


def zone_statements(facts: pl.DataFrame, plans: pl.DataFrame) -> pl.DataFrame:
    """Every zone that one ever stated: tenant, customer ('' for the tenant itself, null for its catalog), time,
    received_at, zone, created (with it).

    Args:
        facts: billing facts.
        plans: ``CatalogHistory.plans``.
    """
    kinds = [f"billing.{who}.{what}" for who in ("customer", "tenant") for what in ("created", "updated")]
    changed = (
        facts.filter(pl.col("type").is_in(kinds))
        .sort(*EVENT_ORDER)
        .select(
            "tenant",
            event_field("customer").fill_null("").alias("customer"),
            "time",
            "received_at",
            event_field("timezone").alias("zone"),
            pl.col("type").str.ends_with("created").alias("created"),
        )
        .drop_nulls("zone")
    )
    catalogs = (
        plans.select(
            "tenant", pl.col("effective_at").fill_null(BEGINNING).alias("time"), pl.col("timezone").alias("zone")
        )
        .unique(["tenant", "time"], keep="last", maintain_order=True)
        .sort("tenant", "time")
    )
    # A catalog is published often and says another zone seldom.
    other = pl.col("zone").ne_missing(pl.col("zone").shift().over("tenant"))
    stated = catalogs.filter(other).with_columns(
        customer=pl.lit(None, pl.String), created=pl.lit(value=True), received_at=BEGINNING
    )
    return pl.concat([changed, stated.select(changed.columns).cast(changed.schema)])


def zones_at(rows: pl.DataFrame, statements: pl.DataFrame) -> pl.DataFrame:
    """Add ``timezone``, the zone that holds for them then, to rows of tenant, customer, timezone? (their own), time and
    start_received_at (when their start was received).

    Args:
        rows: what is to be placed.
        statements: ``zone_statements``.
    """
    own = _stated_at(rows, statements.filter(pl.col("customer") != ""), _CUSTOMER, "of_customer")
    tenants = statements.filter(pl.col("customer") == "").drop("customer")
    catalogs = statements.filter(pl.col("customer").is_null()).drop("customer")
    both = _stated_at(own, tenants, ["tenant"], "of_tenant")
    every = _stated_at(both, catalogs, ["tenant"], "of_catalog")
    zone = pl.coalesce("timezone", "of_customer", "of_tenant", "of_catalog", pl.lit("UTC")).alias("timezone")
    return every.with_columns(zone).drop("of_customer", "of_tenant", "of_catalog")


def _stated_at(rows: pl.DataFrame, statements: pl.DataFrame, by: list[str], name: str) -> pl.DataFrame:
    if statements.is_empty():
        return rows.with_columns(pl.lit(None, pl.String).alias(name))
    first = statements.group_by(by, maintain_order=True).agg(
        pl.col(name).first().alias(f"first_{name}") for name in _FIRST
    )
    early = pl.col("first_time") <= pl.col("time") + _AT_ONCE
    at_once = pl.col("first_created") & (
        early | (pl.col("first_received_at") <= pl.col("start_received_at") + _AT_ONCE)
    )
    numbered = rows.with_row_index("_row")
    dated = numbered.sort("time").join_asof(
        statements.select(*by, "time", "zone").sort("time"), on="time", by=by, check_sortedness=False
    )  # fmt: skip
    return (
        dated.join(first, on=by, how="left")
        .sort("_row")
        .with_columns(pl.coalesce("zone", pl.when(at_once).then("first_zone")).alias(name))
        .drop("zone", "_row", *(f"first_{name}" for name in _FIRST))
    )


def with_zone_changes(segments: pl.DataFrame, started: pl.DataFrame, statements: pl.DataFrame) -> pl.DataFrame:
    """Cut segments where a new zone takes effect: ``timezone_effective_from`` (instant), ``zone_day`` (planned date).

    Args:
        segments: SEGMENTS of the timeline, zones as they were when each subscription started.
        started: tenant, subscription, has_own_zone (they keep it), received_at of their start.
        statements: ``zone_statements``.
    """
    bare = segments.with_columns(timezone_effective_from=pl.lit(None, INSTANT), zone_day=pl.lit(None, pl.Date))
    moving = started.filter(~pl.col("has_own_zone")).select(*_KEY, pl.col("received_at").alias("start_received_at"))
    lives = segments.select(*_KEY, "customer", "subscription_start").unique().join(moving, on=_KEY)
    statements_at = pl.concat(
        [
            lives.join(statements.filter(pl.col("customer") != ""), on=_CUSTOMER),
            lives.join(statements.filter(pl.col("customer").fill_null("") == "").drop("customer"), on="tenant"),
        ]
    ).filter(pl.col("time") > pl.col("subscription_start"))
    if statements_at.is_empty():
        return bare
    moved = zones_at(
        statements_at.select(*_KEY, "customer", "time", "start_received_at").with_columns(
            pl.lit(None, pl.String).alias("timezone")
        ),
        statements,
    )
    turns = moved.sort(*_KEY, "time").with_columns(pl.int_range(pl.len()).over(_KEY).alias("turn"))
    for turn in sorted(turns["turn"].unique()):
        bare = _moved(bare, turns.filter(pl.col("turn") == turn))
    return bare


def _moved(segments: pl.DataFrame, turns: pl.DataFrame) -> pl.DataFrame:
    """Segments after one zone change per subscription."""
    running = (
        turns.select(*_KEY, "time", pl.col("timezone").alias("new_zone"))
        .join(_with_schedule(segments), on=_KEY)
        .filter(pl.col("runs_from") <= pl.col("time"))
        # A pause has no segment: the periods of the one before it run on.
        .filter(pl.col("runs_from") == pl.col("runs_from").max().over(_KEY))
        .filter(pl.col("timezone") != pl.col("new_zone"))
        .with_row_index("key")
    )
    if running.is_empty():
        return segments
    schedule = running.with_columns(
        pl.col("time").alias("window_from"),
        (pl.col("time") + pl.duration(microseconds=1)).alias("window_to"),
        pl.lit(None, INSTANT).alias("start"),
        pl.lit(None, INSTANT).alias("end"),
    )
    ends = overlapping_periods(schedule).select("key", "full_to")
    found = running.join(ends, on="key").select(
        *_KEY,
        "new_zone",
        pl.min_horizontal("full_to", "rescheduled").alias("since"),
        pl.col("timezone").alias("old_zone"),
    )
    dated = local_date(found, pl.col("since"), "old_zone", "day").drop("old_zone")
    joined = segments.join(dated, on=_KEY, how="left", maintain_order="left")
    before = joined.filter(pl.col("since").is_null() | (pl.col("from") < pl.col("since"))).with_columns(
        pl.min_horizontal("to", "since").alias("to")
    )
    after = joined.filter(pl.col("to").is_null() | (pl.col("to") > pl.col("since")), pl.col("since").is_not_null())
    changed = after.with_columns(
        pl.max_horizontal("from", "since").alias("from"),
        pl.col("new_zone").alias("timezone"),
        pl.col("since").alias("timezone_effective_from"),
        pl.col("day").alias("zone_day"),
    )
    whole = pl.concat([before, changed]).drop("new_zone", "since", "day").sort(*_KEY, "from")
    return whole.with_columns(pl.int_range(pl.len(), dtype=pl.Int32).over(_KEY).alias("segment"))


def _with_schedule(segments: pl.DataFrame) -> pl.DataFrame:
    """Add ``rescheduled``: the instant at which a plan with other periods takes over next and ends the running one; and
    ``runs_from``: where the segment's periods run from, which is within a pause if its zone came in there."""
    before = {name: pl.col(name).shift().over(_KEY) for name in ("every", "unit", "align")}
    other = pl.any_horizontal(pl.col(name) != value for name, value in before.items())
    taken_over = pl.when(other).then("from").shift(-1).backward_fill().over(_KEY)
    moved = pl.col("timezone_effective_from").ne_missing(pl.col("timezone_effective_from").shift().over(_KEY))
    runs_from = pl.when(moved).then(pl.min_horizontal("from", "timezone_effective_from")).otherwise("from")
    return segments.sort(*_KEY, "from").with_columns(taken_over.alias("rescheduled"), runs_from.alias("runs_from"))
