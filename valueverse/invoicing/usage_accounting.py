"""Every usage event accounted for: billed, or unbilled with one reason (billing.md, Unbilled usage and leakage).

An event is billed if any line took it, else it has the first reason that holds for any of its usage rows, in the
order of
REASONS. ``superseded`` (replaced or voided by a later event) and ``void`` (the event that voids) close the account of
amended
events, so that accepted = billed + unbilled holds on every day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.catalog import AMOUNT_MARK
from valueverse.invoicing.lines.usage.charge_assignment import assign
from valueverse.metering import OK
from valueverse.schemas.usage_accounting import EVENT_DAYS, UNBILLED_USAGE

if TYPE_CHECKING:
    from valueverse.invoicing.lines.plan_terms import Terms

BILLED = "billed"
REASONS = (
    "superseded",
    "void",
    "awaiting_original",
    "no_meter",
    "no_value",
    "too_long",
    "no_subscription",
    "before_start",
    "after_end",
    "in_trial",
    "no_charge",
    "ambiguous_subscription",
    "period_open",
)
_RANK = {reason: rank for rank, reason in enumerate((BILLED, "period_open", *reversed(REASONS[:-1])))}
"""Which of an event's rows counts: any that was billed, then the one that came closest to being billed."""


def account_usage(
    usage: pl.DataFrame, segments: pl.DataFrame, raw_segments: pl.DataFrame, booked: pl.DataFrame, terms: Terms
) -> pl.DataFrame:
    """One row per usage event with its ``outcome``: ``billed`` or a reason.

    Args:
        usage: all USAGE rows of some event dates.
        segments: billable segments with ``terms``.
        raw_segments: the timeline's segments, trials included.
        booked: tenant, subscription, period_from, period_to, events_known_at of the invoices of type ``period``.

    Returns:
        tenant, day, customer, meter, outcome, quantity.
    """
    rows = _written(usage).with_row_index("row")
    settled = rows.filter((pl.col("status") != OK) | pl.col("known_until").is_not_null()).select(
        "row",
        pl.when(pl.col("known_until").is_not_null())
        .then(pl.lit("superseded"))
        .otherwise(pl.col("status"))
        .alias("outcome"),
    )
    live = rows.filter(pl.col("status") == OK, pl.col("known_until").is_null())
    outcomes = pl.concat([settled, _placed(live, segments, raw_segments, booked, terms)])
    ranked = rows.join(outcomes, on="row", how="left").with_columns(
        pl.col("outcome").replace_strict(_RANK, return_dtype=pl.Int32).alias("rank")
    )
    return (
        ranked.sort("rank", "meter", nulls_last=True)
        .group_by("tenant", "event_date", "source", "id", maintain_order=True)
        .agg(pl.col("customer", "meter", "outcome", "value").first())
        .select(
            "tenant",
            pl.col("event_date").alias("day"),
            pl.col("customer").fill_null(""),
            pl.col("meter").fill_null(""),
            "outcome",
            pl.col("value").alias("quantity"),
        )
    )


def _written(usage: pl.DataFrame) -> pl.DataFrame:
    """Rows of meters that a catalog names: amounts carried beside them are the same events once more."""
    return usage.filter(pl.col("meter").is_null() | ~pl.col("meter").str.contains(AMOUNT_MARK, literal=True))


def _placed(
    live: pl.DataFrame, segments: pl.DataFrame, raw_segments: pl.DataFrame, booked: pl.DataFrame, terms: Terms
) -> pl.DataFrame:
    """``row`` and ``outcome`` of usage that a charge could take."""
    who = live.select("row", "tenant", "customer", "subscription", "meter", "dimensions", "time", "received_at")
    mine = pl.col("subscription").is_null() | (pl.col("subscription") == pl.col("held_by"))
    held = segments.select("tenant", "customer", pl.col("subscription").alias("held_by"), "terms", "from", "to")
    inside = (pl.col("time") >= pl.col("from")) & (pl.col("to").is_null() | (pl.col("time") < pl.col("to")))
    active = who.join(held, on=["tenant", "customer"]).filter(mine, inside)
    charged = assign(active, terms).drop_nulls("charge")
    periods = booked.select(
        "tenant", pl.col("subscription").alias("held_by"), "period_from", "period_to", "events_known_at"
    )
    in_period = (pl.col("time") >= pl.col("period_from")) & (pl.col("time") < pl.col("period_to"))
    billed = charged.join(periods, on=["tenant", "held_by"]).filter(
        in_period, pl.col("received_at") <= pl.col("events_known_at")
    )
    assignments = charged.group_by("row").agg(pl.col("held_by").n_unique().alias("subscriptions"))
    return (
        who.select("row")
        .join(_without_segment(who, raw_segments), on="row", how="left")
        .join(active.select("row").unique().with_columns(pl.lit(value=True).alias("active")), on="row", how="left")
        .join(assignments, on="row", how="left")
        .join(billed.select("row").unique().with_columns(pl.lit(value=True).alias("billed")), on="row", how="left")
        .select(
            "row",
            pl.when(pl.col("subscriptions") > 1)
            .then(pl.lit("ambiguous_subscription"))
            .when(pl.col("billed"))
            .then(pl.lit(BILLED))
            .when(pl.col("subscriptions") == 1)
            .then(pl.lit("period_open"))
            .when(pl.col("active"))
            .then(pl.lit("no_charge"))
            .otherwise(pl.col("absence").fill_null("no_subscription"))
            .alias("outcome"),
        )
    )


def _without_segment(who: pl.DataFrame, raw_segments: pl.DataFrame) -> pl.DataFrame:
    """Why usage of a customer that has subscriptions meets none of them: row, absence."""
    mine = pl.col("subscription").is_null() | (pl.col("subscription") == pl.col("held_by"))
    lives = raw_segments.group_by("tenant", "customer", pl.col("subscription").alias("held_by")).agg(
        pl.col("subscription_start", "subscription_end", "trial_until").first()
    )
    met = who.join(lives, on=["tenant", "customer"]).filter(mine)
    early = (pl.col("time") < pl.col("subscription_start")).all()
    trial = (
        ((pl.col("time") >= pl.col("subscription_start")) & (pl.col("time") < pl.col("trial_until")))
        .fill_null(value=False)
        .any()
    )
    return met.group_by("row").agg(
        pl.when(trial)
        .then(pl.lit("in_trial"))
        .when(early)
        .then(pl.lit("before_start"))
        .otherwise(pl.lit("after_end"))
        .alias("absence")
    )


def accounting_totals(events: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """UNBILLED_USAGE and EVENT_DAYS of accounted events."""
    unbilled = (
        events.filter(pl.col("outcome") != BILLED)
        .group_by("tenant", "day", pl.col("outcome").alias("reason"), "customer", "meter")
        .agg(pl.len().cast(pl.Int64).alias("events"), pl.col("quantity").sum())
    )
    is_billed = (pl.col("outcome") == BILLED).sum().cast(pl.Int64)
    days = (
        events.group_by("tenant", "day")
        .agg(pl.len().cast(pl.Int64).alias("accepted"), is_billed.alias("billed"))
        .with_columns((pl.col("accepted") - pl.col("billed")).alias("unbilled"))
    )
    return unbilled.select(UNBILLED_USAGE.names()).cast(UNBILLED_USAGE), days.cast(EVENT_DAYS)
