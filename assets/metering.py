"""Events become typed usage, one row per event and meter, per event date."""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import polars as pl

from assets.asset_helpers import PLATFORM, Result, covered_by, fresh, mark, pending, until_unmarked
from assets.check_results import no_rows
from assets.held import held_check, held_spec, outcome, periods_of
from assets.ingestion import EVENTS, FACTS
from assets.metadata import bars, by_partition, preview
from assets.partitions import DAILY
from assets.resources import Platform, TenantsConfig
from valueverse.platform.isolation import Isolated
from valueverse.services.tenant_holds import USAGE as STAGE
from valueverse.services.tenant_holds import for_each_tenant
from valueverse.services.usage.derive_usage import (
    IS_UNMETERED,
    MeteringReport,
    lake_dates,
    meter,
    senders,
    unmetered_usage,
    usage_counts,
)

USAGE = dg.AssetKey(["lake", "usage"])
METERED = "every_event_is_metered"


@dg.asset(
    key=USAGE,
    deps=[
        dg.AssetDep(EVENTS, partition_mapping=dg.IdentityPartitionMapping()),
        FACTS,
    ],
    partitions_def=DAILY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="usage",
    description="Typed, exact usage (Delta, rewritten per date). The first partition holds all older dates.",
    owners=PLATFORM,
    kinds={"polars", "deltalake"},
    code_version="1",
    freshness_policy=fresh(26),
    pool="metering",
    check_specs=[
        held_spec(USAGE),
        dg.AssetCheckSpec(
            METERED, asset=USAGE, description="Every event of any date feeds a meter that can read it; else why not."
        ),
    ],
)
def usage(context: dg.AssetExecutionContext, config: TenantsConfig, platform: Platform) -> Iterator[Result]:
    """Derive usage of the range's dates again; dates that other tenants still wait for stay out of date."""
    owed = pending(context.instance, EVENTS, USAGE, context.partition_keys) if config.tenants else {}
    first, last = covered_by(context)
    dates = lake_dates(platform.lake, first, last)
    lake = platform.lake

    def isolated() -> Isolated[MeteringReport]:
        return for_each_tenant(
            platform.settings, STAGE, periods_of(context), lambda tenants: meter(lake, dates, tenants=tenants),
            run_id=context.run.run_id, chosen=config.chosen(), everyone=lambda: senders(lake, dates),
        )  # fmt: skip

    done = until_unmarked(context, EVENTS, isolated)
    # What other runs derived of the same dates counts too: a partition shows what it holds.
    counts = usage_counts(lake, dates)
    if not (wrong := MeteringReport.joined(done.results).not_in_the_lake(counts)).is_empty():
        raise dg.Failure("The lake does not hold the usage that was derived.", {"rows": preview(wrong, 40)})
    _show(context, counts, outcome(done))
    yield dg.MaterializeResult(
        asset_key=USAGE,
        check_results=[held_check(platform, USAGE, STAGE), no_rows(USAGE, METERED, unmetered_usage(lake))],
    )
    mark(context, EVENTS, owed, {"because": "other tenants"})


def _show(context: dg.AssetExecutionContext, counts: pl.DataFrame, ended: Mapping[str, Any]) -> None:
    """Each date's rows in the metadata of its own partition."""
    for key, own in by_partition(context, counts, "event_date", monthly=False):
        by_meter = own.group_by("tenant", "meter", "status").agg(pl.sum("rows")).sort("rows", descending=True)
        by_tenant = own.group_by("tenant").agg(pl.sum("rows")).sort("rows", "tenant", descending=[True, False])
        context.add_asset_metadata(
            {
                "dagster/row_count": int(own["rows"].sum()),
                "tenants": by_tenant.height,
                "unmetered_rows": int(own.filter(IS_UNMETERED)["rows"].sum()),
                "rows_by_meter": preview(by_meter, 20),
                "rows_by_tenant": bars(by_tenant.head(20), "tenant", "rows"),
                **ended,
            },
            partition_key=key,
        )
