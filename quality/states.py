"""Which plan, version and overrides each subscription was told to be on, and when, read from its billing events."""

from __future__ import annotations

import polars as pl

_STARTED, _CHANGED = "billing.subscription.started", "billing.subscription.changed"
STATES = pl.Schema(
    {
        "tenant": pl.String(),
        "subscription": pl.String(),
        "told_at": pl.Datetime("us", "UTC"),
        "received_at": pl.Datetime("us", "UTC"),
        "known_until": pl.Datetime("us", "UTC"),
        "waits": pl.Boolean(),
        "plan": pl.String(),
        "version": pl.Int32(),
        "overrides": pl.String(),
        "quantities": pl.String(),
    }
)
"""One row per start and change. ``version`` null: the newest then; ``overrides``, ``quantities``: JSON text;
``waits``: it takes effect at the end of the running period."""
_OWNER = ["tenant", "subscription"]


def states_of(facts: pl.DataFrame) -> pl.DataFrame:
    """STATES from billing facts (tenant, type, time, received_at, source, id, known_until, data as JSON text).

    A change that names no plan keeps plan and version, and the overrides unless it states others; one that names a
    plan or a version begins anew.
    """
    told = facts.filter(pl.col("type").is_in([_STARTED, _CHANGED])).with_columns(
        pl.col("data").str.json_path_match(f"$.{name}").alias(name)
        for name in ("subscription", "plan", "plan_version", "overrides", "quantities", "effective")
    )
    ordered = told.sort(*_OWNER, "time", "received_at", "source", "id").with_columns(
        (pl.col("plan").is_not_null() | pl.col("plan_version").is_not_null()).cum_sum().over(_OWNER).alias("begun")
    )
    return ordered.select(
        *_OWNER,
        pl.col("time").alias("told_at"),
        "received_at",
        "known_until",
        ((pl.col("type") == _CHANGED) & (pl.col("effective") == "period_end")).fill_null(value=False).alias("waits"),
        pl.col("plan").forward_fill().over(_OWNER),
        pl.col("plan_version").first().over(*_OWNER, "begun").cast(pl.Int32, strict=False).alias("version"),
        pl.col("overrides").forward_fill().over(*_OWNER, "begun").fill_null(""),
        pl.col("quantities").forward_fill().over(_OWNER),
    ).cast(STATES)
