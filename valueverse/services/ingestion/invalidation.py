"""Which partitions a delivery touches: event dates whose usage changes, and months whose invoices may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.dates import month_of
from valueverse.schemas.types import INSTANT
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.subscriptions import (
    CUSTOMER_TYPES,
    SUBSCRIPTION_STARTED,
    build_timeline,
    event_field,
    local_date,
    overlapping_periods,
)

if TYPE_CHECKING:
    from datetime import date

    from valueverse.platform.lake import Lake
    from valueverse.subscriptions import Timeline

CATALOG = "billing.catalog.published"
_BILLING = "billing."
_NOT_BY_THEMSELVES = ("catalog", "tenant", "customer", "subscription", "cost")
"""Subjects of billing events that change periods, or nothing that is invoiced; others act at their own instant."""
_IS_USAGE = ~pl.col("type").str.starts_with(_BILLING)
_SUBJECT = pl.col("type").str.strip_prefix(_BILLING).str.split(".").list.first()
_ACTS_BY_ITSELF = ~_IS_USAGE & ~_SUBJECT.is_in(_NOT_BY_THEMSELVES)
_ACTS = ["acts_from", "acts_to"]
_NO_INSTANT = pl.lit(None, INSTANT)
_MARKS = [_IS_USAGE.alias("has_usage"), *(pl.when(_ACTS_BY_ITSELF).then("time").alias(name) for name in _ACTS)]


def invalidated_between(lake: Lake, after: datetime, until: datetime) -> pl.DataFrame:
    """What events received in (after, until] touch: tenant, event_date, has_usage, acts_from, acts_to.

    That is each event's own date, the dates of what it amends and of other amendments of that, of amendments that
    waited for it, and under a new catalog every date of that tenant with events since. It is derived from the lake
    alone, so a delivery whose run was killed is published by the next one. ``has_usage`` is false for dates that only
    billing events touch. ``acts_from`` and ``acts_to`` are the first and the last instant (UTC) of the date's touched
    one-offs, payments, credit notes, voids, wallets and coupons; null where there are none.
    """
    received = pl.col("received_at").is_between(after, until, closed="right")
    columns = ["tenant", "source", "id", "type", "time", "event_date", "replaces"]
    new = lake.scan(EVENTS_TABLE).filter(received).select(columns).collect()
    marked = ["tenant", "event_date", *_MARKS]
    if new.is_empty():
        return new.select(marked)
    amended = new.lazy().filter(pl.col("replaces").is_not_null())
    originals = (
        lake.scan(EVENTS_TABLE)
        .select("tenant", "source", "id", "type", "time", "event_date")
        .join(amended, left_on=["tenant", "source", "id"], right_on=["tenant", "source", "replaces"], how="semi")
    )
    # Amendments that the new events end a wait of, and those whose original has now another amendment, change too.
    renewed = [
        lake.scan(EVENTS_TABLE)
        .filter(pl.col("replaces").is_not_null())
        .select("tenant", "source", "replaces", "type", "time", "event_date")
        .join(by, left_on=["tenant", "source", "replaces"], right_on=["tenant", "source", key], how="semi")
        for by, key in ((new.lazy(), "id"), (amended, "replaces"))
    ]
    published = (
        new.lazy().filter(pl.col("type") == CATALOG).group_by("tenant").agg(pl.col("time").min().alias("_since"))
    )
    under_catalog = (
        lake.scan(EVENTS_TABLE)
        .select("tenant", "type", "event_date")
        .unique()
        .join(published, on="tenant")
        .filter(pl.col("event_date") >= pl.col("_since").dt.date())
        .select("tenant", "event_date", _IS_USAGE.alias("has_usage"), *(_NO_INSTANT.alias(name) for name in _ACTS))
    )
    touched = [frame.select(marked) for frame in (new.lazy(), originals, *renewed)]
    return by_date(pl.concat([*touched, under_catalog])).collect(engine="streaming")


def by_date(touched: pl.LazyFrame) -> pl.LazyFrame:
    """Frames of ``invalidated_between`` put together: one row per tenant and date, in order."""
    return (
        touched.group_by("tenant", "event_date")
        .agg(pl.col("has_usage").any(), pl.col("acts_from").min(), pl.col("acts_to").max())
        .sort("tenant", "event_date")
    )


def invalidated_months(facts: pl.DataFrame, touched: pl.DataFrame, now: datetime) -> list[date]:
    """Months of periods, usage and single billing events that ``touched`` (of ``invalidated_between``) may change.

    A month counts if a period starts or closes in it. A billing event reaches every later period of its
    tenant, up to the subscription's end or ``now``; usage reaches the period it lies in, and its own month. A
    one-off, payment or the like also has its own month, where no period may lie.
    Months are the tenant's own, as a billing run understands them.
    """
    if touched.is_empty():
        return []
    touched = pl.concat([touched, _released(facts, touched)])
    timeline = build_timeline(facts, CatalogHistory.from_facts(facts).plans, None)
    spans = _period_spans(timeline, touched, now)
    changed = (
        facts.select("tenant", pl.col("time").dt.date().alias("event_date"))
        .join(touched, on=["tenant", "event_date"], how="semi")
        .group_by("tenant")
        .agg(pl.col("event_date").min().alias("_changed"))
    )
    days = touched.select("tenant", pl.col("event_date").alias("_day")).sort("_day")
    hit = (
        spans.join(changed, on="tenant", how="left")
        .sort("reach_from")
        .join_asof(
            days,
            left_on="reach_from",
            right_on="_day",
            by="tenant",
            strategy="forward",
            check_sortedness=False,
        )
        .filter((pl.col("_day") <= pl.col("reach_to")) | (pl.col("_changed") <= pl.col("reach_to")))
    )
    used = touched.filter("has_usage")["event_date"]
    found = (
        pl.concat([used, hit["starts"], hit["closes"], _acting_days(timeline, touched)])
        .dt.truncate("1mo")
        .unique()
        .to_list()
    )
    return sorted(month for month in found if month <= month_of(now.date()))


def _released(facts: pl.DataFrame, touched: pl.DataFrame) -> pl.DataFrame:
    """What was held of customers whom the touched events are the first to name: starts of subscriptions, one-offs."""
    named = (
        facts.filter(pl.col("type").is_in(CUSTOMER_TYPES), pl.col("known_until").is_null())
        .with_columns(event_field("customer"), pl.col("time").dt.date().alias("event_date"))
        .sort("received_at")
        .unique(["tenant", "customer"], keep="first", maintain_order=True)
        .join(touched, on=["tenant", "event_date"], how="semi")
        .select("tenant", "customer")
    )
    waiting = facts.filter((pl.col("type") == SUBSCRIPTION_STARTED) | _ACTS_BY_ITSELF).with_columns(
        event_field("customer")
    )
    return waiting.join(named, on=["tenant", "customer"], how="semi").select(
        "tenant", pl.col("time").dt.date().alias("event_date"), *_MARKS
    )


def _acting_days(timeline: Timeline, touched: pl.DataFrame) -> pl.Series:
    """The tenants' own days on which touched events take effect that act at their instant."""
    instants = touched.select("tenant", pl.concat_list(_ACTS).alias("at")).explode("at").drop_nulls("at")
    zoned = instants.join(timeline.tenants.select("tenant", "timezone"), on="tenant")
    return local_date(zoned, pl.col("at"), "timezone", "day")["day"]


def _period_spans(timeline: Timeline, touched: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Tenant, starts, closes (local dates), reach_from, reach_to of periods that touched dates may reach.

    The reach is in event dates, which are UTC: a day wider on each side covers the offset of any time zone.
    """
    since = datetime.combine(touched["event_date"].min(), datetime.min.time(), UTC)  # type: ignore[arg-type]
    since -= timedelta(days=2)
    day = timedelta(days=1)
    schedule = (
        timeline.segments.join(touched.select("tenant").unique(), on="tenant", how="semi")
        .filter(pl.col("to").is_null() | (pl.col("to") > since), pl.col("from") < now + day)
        .with_row_index("key")
        .select(
            "key", "tenant", "every", "unit", "align", "anchor", "timezone",
            pl.max_horizontal("from", pl.lit(since)).alias("window_from"),
            pl.min_horizontal(pl.col("to").fill_null(now + day), pl.lit(now + day)).alias("window_to"),
            pl.col("from").alias("start"),
            pl.col("to").alias("end"),
        )
        .filter(pl.col("window_from") < pl.col("window_to"))
    )  # fmt: skip
    own = schedule.select("key", "tenant").join(timeline.tenants.select("tenant", "timezone"), on="tenant")
    found = overlapping_periods(schedule.drop("tenant")).join(own, on="key")
    last = pl.col("to").dt.offset_by("-1us")
    return local_date(local_date(found, pl.col("from"), "timezone", "starts"), last, "timezone", "closes").select(
        "tenant",
        "starts",
        "closes",
        (pl.col("from").dt.date() - pl.duration(days=1)).alias("reach_from"),
        (pl.col("to").dt.date() + pl.duration(days=1)).alias("reach_to"),
    )
