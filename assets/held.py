"""How held tenants are shown in Dagster: an outcome in the metadata and one standing check per stage."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from assets.check_results import result
from assets.metadata import preview
from valueverse.services.tenant_holds import CURE, held_rows, sentence

if TYPE_CHECKING:
    from assets.resources import Platform
    from valueverse.platform.isolation import Isolated

CHECK = "no_tenant_is_held"


def periods_of(context: dg.AssetExecutionContext) -> list[date]:
    """First days of this run's partitions."""
    return [date.fromisoformat(key) for key in context.partition_keys]


def held_spec(asset: dg.AssetKey) -> dg.AssetCheckSpec:
    """The check that an asset whose stage may hold tenants carries."""
    return dg.AssetCheckSpec(
        CHECK, asset=asset, description="No tenant is held in this stage; else who, since when and why."
    )


def held_check(platform: Platform, asset: dg.AssetKey, stage: str) -> dg.AssetCheckResult:
    """Everybody who is held in the stage now, also by earlier runs. A warning: the others are finished."""
    rows = held_rows(platform.settings, stage)
    shown = rows.select("tenant", "first", "last", "code", "message", "since", "attempts")
    return result(
        asset,
        CHECK,
        passed=rows.is_empty(),
        description="; ".join(
            sentence(*row) for row in rows.head(5).select("tenant", "stage", "code", "message").iter_rows()
        )
        or None,
        metadata={"held": rows["tenant"].n_unique(), "rows": preview(shown, 40), "cure": CURE},
    )


def outcome(done: Isolated[Any]) -> dict[str, Any]:
    """Metadata of a materialisation: how it ended, and whom this run left out."""
    if not done.failures:
        return {"outcome": done.outcome}
    rows = [(failure.tenant, failure.code, failure.message) for failure in done.failures]
    held = pl.DataFrame(rows, schema=["tenant", "code", "message"], orient="row")
    return {"outcome": done.outcome, "held": preview(held, 40)}
