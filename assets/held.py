"""How held tenants are shown in Dagster: an outcome in the metadata and one standing check per stage."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
import polars as pl

from assets.asset_helpers import preview
from valueverse.platform.stores import held_store
from valueverse.platform.warehouse import connect
from valueverse.services.months import FIRST_DAY
from valueverse.services.tenant_holds import MARTS

if TYPE_CHECKING:
    from collections.abc import Collection

    from assets.resources import Platform
    from valueverse.platform.isolation import Isolated
    from valueverse.platform.settings import Settings

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
    with platform.warehouse() as connection:
        rows = held_store.held(connection, [stage])
    shown = rows.select("tenant", "first", "last", "code", "message", "since", "attempts")
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=asset,
        passed=rows.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(
            held_store.sentence(*row) for row in rows.head(5).select("tenant", "stage", "code", "message").iter_rows()
        )
        or None,
        metadata={"held": rows["tenant"].n_unique(), "rows": preview(shown, 40), "cure": held_store.CURE},
    )


def outcome(done: Isolated[Any]) -> dict[str, Any]:
    """Metadata of a materialisation: how it ended, and whom this run left out."""
    rows = [(failure.tenant, failure.code, failure.message) for failure in done.failures]
    schema = dict.fromkeys(("tenant", "code", "message"), pl.String)
    return {"outcome": done.outcome, "held": preview(pl.DataFrame(rows, schema=schema, orient="row"), 40)}


def held_months(settings: Settings, months: Collection[date]) -> pl.DataFrame:
    """month, tenant, stage, code, message: whom the stages before a release hold in these months (first days).

    What an unpartitioned stage holds is held in every month; what the first partition holds in those before it too.
    """
    with connect(settings, "builder") as connection:
        rows = held_store.held_periods(connection).filter(pl.col("stage") != MARTS)
    asked = pl.DataFrame({"month": sorted(months)}, schema={"month": pl.Date}).with_columns(
        pl.max_horizontal("month", pl.lit(FIRST_DAY)).alias("partition")
    )
    in_month = rows.filter(pl.col("period") != held_store.WHOLE).with_columns(
        pl.col("period").dt.truncate("1mo").alias("partition")
    )
    always = rows.filter(pl.col("period") == held_store.WHOLE).join(asked.select("month"), how="cross")
    names = ["month", "tenant", "stage", "code", "message"]
    found = asked.join(in_month, on="partition")
    return pl.concat([found.select(names), always.select(names)]).unique(maintain_order=True).sort(names)
