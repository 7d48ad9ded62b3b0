"""Events become typed usage, one row per event and meter, per event date."""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

from collections.abc import Iterator

import dagster as dg
import polars as pl

from assets.asset_helpers import PLATFORM, Result, bars, covered_by, fresh, mark, pending, preview, until_unmarked
from assets.held import held_check, held_spec, outcome, periods_of
from assets.ingestion import EVENTS, FACTS
from assets.partitions import DAILY
from assets.resources import Platform, TenantsConfig
from valueverse.platform.isolation import Isolated
from valueverse.services.tenant_holds import USAGE as STAGE
from valueverse.services.tenant_holds import for_each_tenant
from valueverse.services.usage.derive_usage import MeteringReport, lake_dates, meter, senders

USAGE = dg.AssetKey(["lake", "usage"])


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
    check_specs=[held_spec(USAGE)],
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
    report = MeteringReport.joined(done.results)
    per_day = report.days.group_by("event_date").agg(pl.col("events").sum()).sort("event_date")
    yield dg.MaterializeResult(
        asset_key=USAGE,
        metadata={
            "dagster/row_count": report.rows,
            "dates": len(dates),
            "tenants": report.days["tenant"].n_unique(),
            "statuses": preview(report.statuses, 40),
            "events_per_day": bars(per_day.tail(60), "event_date", "events"),
            **outcome(done),
        },
        check_results=[held_check(platform, USAGE, STAGE)],
    )
    mark(context, EVENTS, owed, {"because": "other tenants"})
