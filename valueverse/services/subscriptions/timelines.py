"""Customers and subscriptions of a tenant as its billing events state them, those that wait among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.dates import utc_text
from valueverse.subscriptions import build_timeline

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.services.subscriptions.billing_log import BillingLog
    from valueverse.subscriptions import Timeline

_CUSTOMER = ("customer", "name", "email", "currency", "timezone", "country")


def timeline_of(log: BillingLog, known_at: datetime | None = None) -> Timeline:
    """What a tenant's billing events come to; ``known_at``: as known then."""
    facts = log.facts()
    return build_timeline(facts, CatalogHistory.from_facts(facts, known_at).plans, known_at)


def stated_customer(timeline: Timeline, customer: str) -> dict[str, Any] | None:
    """A customer's key, name, email, currency, timezone, country and metadata; None: no event has created it."""
    for row in timeline.customers.filter(pl.col("customer") == customer).iter_rows(named=True):
        metadata = orjson.Fragment(row["metadata"]) if row["metadata"] else None
        return {name: row[name] for name in _CUSTOMER} | {"metadata": metadata}
    return None


def stated_subscription(timeline: Timeline, subscription: str, moment: datetime) -> dict[str, Any] | None:
    """A subscription with its ``segments``, the oldest first; None: no event has started it.

    Args:
        timeline: the tenant's.
        subscription: its key.
        moment: when its ``status`` is that.
    """
    found = stated_subscriptions(timeline, moment, subscription=subscription)
    segments = {"segments": segments_of(timeline, subscription)}
    return found[0] | segments if found else None


def stated_subscriptions(
    timeline: Timeline, moment: datetime, customer: str | None = None, subscription: str | None = None
) -> list[dict[str, Any]]:
    """Subscriptions by key: customer, plan, plan_version, currency, timezone, started_at, ended_at and ``status`` at an
    instant: ``planned``, ``active``, ``paused`` or ``ended``.

    Args:
        timeline: the tenant's.
        moment: the instant.
        customer: only this customer's; None: everybody's.
        subscription: only this one; None: all.
    """
    wanted = [
        pl.col(name) == value for name, value in (("customer", customer), ("subscription", subscription)) if value
    ]
    begun, ended = pl.col("subscription_start") <= moment, pl.col("subscription_end") <= moment
    rows = (
        timeline.segments.filter(*wanted)
        .with_columns(runs=(pl.col("from") <= moment) & (pl.col("to").is_null() | (pl.col("to") > moment)))
        .with_columns(pl.col("runs").any().over("tenant", "subscription").alias("runs_now"))
        # What holds now, or else the last that is stated.
        .sort("subscription", "runs", "from")
        .group_by("tenant", "subscription", maintain_order=True)
        .last()
        .with_columns(
            pl.when(ended.fill_null(value=False))
            .then(pl.lit("ended"))
            .when(~begun)
            .then(pl.lit("planned"))
            .when("runs_now")
            .then(pl.lit("active"))
            .otherwise(pl.lit("paused"))
            .alias("status")
        )
    )
    return [
        {name: row[name] for name in ("subscription", "customer", "plan", "plan_version", "currency", "timezone")}
        | {"started_at": utc_text(row["subscription_start"])}
        | {"ended_at": row["subscription_end"] and utc_text(row["subscription_end"]), "status": row["status"]}
        for row in rows.iter_rows(named=True)
    ]


def segments_of(timeline: Timeline, subscription: str) -> list[dict[str, Any]]:
    """The segments of a subscription, the oldest first."""
    rows = timeline.segments.filter(pl.col("subscription") == subscription)
    return [_segment(row) for row in rows.iter_rows(named=True)]


def _segment(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "plan": row["plan"],
        "plan_version": row["plan_version"],
        "currency": row["currency"],
        "timezone": row["timezone"],
        **{name: row[name] and utc_text(row[name]) for name in ("from", "to", "trial_until")},
        **{name: orjson.Fragment(row[name]) if row[name] else None for name in ("quantities", "overrides")},
    }
