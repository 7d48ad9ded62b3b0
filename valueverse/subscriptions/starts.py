"""Starts of subscriptions: the plan that each names, and what is refused with its reason."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.types import EXACT
from valueverse.subscriptions.event_fields import event_field, number_field, rejected_events
from valueverse.subscriptions.periods import FIRST_YEAR, LAST_YEAR
from valueverse.subscriptions.zone_changes import zones_at
from valueverse.subscriptions.zones import local_date, local_midnight

_KEY = ["tenant", "subscription"]
_STATED_KEY = r'"key":"[^"]*"'
_NAME = r'"(?:[^"\\]|\\.)*":'
"""A member's name in JSON text as Polars writes it; a text that is a value is followed by ',' or '}'."""
_NO_TRIAL = r'"trial":\s*null'
_MOST_TRIAL_DAYS = 3_660


def with_plan(rows: pl.DataFrame, plans: pl.DataFrame) -> pl.DataFrame:
    """Add the plan's columns to rows of tenant, plan, wanted_version, time; null catalog_hash: no such plan then.

    Without a version the newest of the catalog in force counts; a version that an older catalog published stays valid.
    """
    numbered = rows.with_row_index("_row")
    found = (
        numbered.select("_row", "tenant", "plan", "wanted_version", "time")
        .join(plans.drop("timezone", "grace_seconds"), on=["tenant", "plan"])
        .filter(
            pl.col("effective_at") <= pl.col("time"),
            pl.col("wanted_version").is_null() | (pl.col("version") == pl.col("wanted_version")),
        )
        .sort("effective_at", "version")
        .group_by("_row", maintain_order=True)
        .last()
        .select(
            "_row",
            pl.col("version").alias("plan_version"),
            "catalog_hash",
            "currency",
            "every",
            "unit",
            "align",
            "trial_days",
            "counted_fees",
        )
    )
    return numbered.join(found, on="_row", how="left", maintain_order="left").drop("_row")


def uncounted(quantities: pl.Expr) -> pl.Expr:
    """The first name in ``quantities`` that is no fee counted by the plan or by the overrides; null: each is one.

    Reads the columns ``counted_fees`` and ``overrides``.
    """
    added = pl.col("overrides").str.json_path_match("$.fees").str.extract_all(_STATED_KEY)
    known = pl.concat_list("counted_fees", _unquoted(added, r'"([^"]*)"$').fill_null([]))
    named = _unquoted(quantities.str.extract_all(_NAME), r'^"(.*)":$')
    return named.list.set_difference(known).list.sort().list.first()


def _unquoted(texts: pl.Expr, pattern: str) -> pl.Expr:
    return texts.list.eval(pl.element().str.extract(pattern))


def unknown_fee(rows: pl.DataFrame, plan: str, name: str) -> pl.DataFrame:
    """Rows whose quantities name what is no counted fee of their plan, as rejections.

    Args:
        rows: the events' columns, the key of the plan (column ``plan``), and what ``uncounted`` found (``name``).
    """
    where = pl.concat_str(pl.lit("data.quantities."), name, pl.lit(": the plan '"), plan)
    return rejected_events(
        rows, "unknown_fee", pl.concat_str(where, pl.lit("' has no fee of this key with a unit_amount"))
    )


def _instant(text: pl.Expr) -> pl.Expr:
    """An RFC 3339 instant; judged at ingestion, so what does not parse here is null."""
    return text.str.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)


def _trial_days() -> pl.Expr:
    """Days of trial that the start's overrides state, else the plan's. What makes no trial is held with its overrides
    (``bad_overrides``)."""
    overrides = pl.col("overrides")
    stated = overrides.str.json_path_match("$.trial.days").cast(EXACT, strict=False)
    none = overrides.str.contains(_NO_TRIAL) & overrides.str.json_path_match("$.trial").is_null()
    allowed = stated.is_between(0, _MOST_TRIAL_DAYS) & (stated == stated.floor())
    return pl.when(none).then(0).when(allowed).then(stated).otherwise("trial_days").cast(pl.Int32)


def started_subscriptions(
    facts: pl.DataFrame, plans: pl.DataFrame, statements: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Every subscription that starts, once, with its plan, zone, anchor, stated end and end of trial; and the refusals.

    Args:
        facts: billing events known, in the order in which they take effect.
        plans: ``CatalogHistory.plans``.
        statements: zone_changes.zone_statements.
    """
    rows = facts.filter(pl.col("type") == "billing.subscription.started").with_columns(
        event_field("subscription"), event_field("customer"), event_field("plan"),
        event_field("timezone"), event_field("overrides"),
        event_field("quantities"),
        number_field("plan_version").cast(pl.Int64).alias("wanted_version"),
        event_field("anchor_date").str.to_date("%F", strict=False).alias("anchor"),
        event_field("ends_at"),
    )  # fmt: skip
    owned = with_plan(rows, plans).with_columns(pl.col("timezone").is_not_null().alias("has_own_zone"))
    zoned = zones_at(owned.with_columns(pl.col("received_at").alias("start_received_at")), statements).drop(
        "start_received_at"
    )
    zoned = local_date(zoned, pl.col("time"), "timezone", "start_day")
    # A bare date is local midnight; an instant stays what it is.
    zoned = local_midnight(zoned, pl.col("ends_at").str.to_date("%F", strict=False), "timezone", "ends_on")
    zoned = zoned.with_columns(
        pl.coalesce("ends_on", _instant(pl.col("ends_at"))).alias("planned_end"),
        pl.coalesce("anchor", "start_day").alias("anchor"),
    )
    possible, rejected = _judged(zoned)
    possible = possible.with_columns(_trial_days().alias("trial_days"))
    trial_end = pl.col("start_day") + pl.duration(days=pl.col("trial_days"))
    accepted = local_midnight(possible, trial_end, "timezone", "trial_until").with_columns(
        pl.when(pl.col("trial_days") > 0).then("trial_until").alias("trial_until")
    )
    return accepted.rename({"time": "subscription_start"}), rejected


def _judged(starts: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The first possible start of each subscription, and the others as rejections."""
    unknown = pl.col("catalog_hash").is_null()
    untimely = ~pl.col("time").dt.year().is_between(FIRST_YEAR, LAST_YEAR)
    backwards = (pl.col("planned_end") <= pl.col("time")).fill_null(value=False)
    counted = pl.col("uncounted").is_null()
    starts = starts.with_columns(uncounted(pl.col("quantities")).alias("uncounted"))
    # A start that is refused starts nothing: the one that replaces it is the first.
    possible = starts.filter(~unknown, ~untimely, ~backwards, counted).with_columns(
        pl.struct(_KEY).is_first_distinct().alias("is_first")
    )
    name = pl.concat_str(pl.lit("the subscription '"), "subscription", pl.lit("' "))
    version = pl.format(" version {}", "wanted_version").fill_null("")
    rejected = [
        rejected_events(
            possible.filter(~pl.col("is_first")),
            "already_started",
            name + "has started before: change it, or start one with a new key",
        ),
        rejected_events(
            starts.filter(unknown),
            "unknown_plan",
            pl.concat_str(pl.lit("no catalog in force then has the plan '"), "plan", pl.lit("'"), version),
        ),
        rejected_events(
            starts.filter(~unknown, untimely),
            "bad_time",
            name + f"starts outside the years {FIRST_YEAR} to {LAST_YEAR}",
        ),
        rejected_events(
            starts.filter(~unknown, ~untimely, backwards),
            "ends_before_start",
            name + "ends at or before its start: correct ends_at",
        ),
        unknown_fee(starts.filter(~unknown, ~untimely, ~backwards, ~counted), "plan", "uncounted"),
    ]
    return possible.filter("is_first"), pl.concat(rejected)
