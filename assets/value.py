"""Committed value models, measured: metrics, runs and fee proposals of the months that are over."""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl

from assets.asset_helpers import ANALYTICS, Result, covered_by, fresh
from assets.billing import MEASURED_MONTHS, BillingConfig
from assets.check_results import no_rows
from assets.held import held_check, held_spec, outcome, periods_of
from assets.ingestion import FACTS
from assets.metadata import by_partition, preview
from assets.metering import USAGE
from assets.partitions import MONTHLY
from assets.resources import Platform
from valueverse.services.tenant_holds import VALUE as STAGE
from valueverse.services.tenant_holds import for_each_tenant, tenants_of
from valueverse.services.value.track_commit import TrackReport
from valueverse.services.value.track_value import track_value

REALISATION = dg.AssetKey(["value", "realisation"])
_CHECK = "every_active_commit_has_been_run"
_REFUSED = ["tenant", "commit", "month", "reason"]


@dg.asset(
    key=REALISATION,
    deps=[*MEASURED_MONTHS, USAGE, FACTS],
    partitions_def=MONTHLY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="value",
    description="Metrics, runs of committed models and fee proposals of the month, once it is over.",
    owners=ANALYTICS,
    kinds={"polars", "postgres"},
    code_version="1",
    freshness_policy=fresh(26),
    pool="value",
    check_specs=[
        held_spec(REALISATION),
        dg.AssetCheckSpec(_CHECK, asset=REALISATION, description="No active commit lacks a metric it is measured by."),
    ],
)
def realisation(context: dg.AssetExecutionContext, config: BillingConfig, platform: Platform) -> Result:
    """Measure every active commit; late data adds runs beside the old ones."""
    first, last = covered_by(context)
    settings, lake, run_id, as_of = platform.settings, platform.lake, context.run.run_id, config.moment()

    def work(tenants: Sequence[str] | None) -> TrackReport:
        return track_value(settings, lake, first, last, as_of=as_of, run_id=run_id, tenants=tenants)

    done = for_each_tenant(
        settings, STAGE, periods_of(context), work,
        run_id=run_id, chosen=config.chosen(), everyone=lambda: tenants_of(lake),
    )  # fmt: skip
    report = TrackReport.joined(done.results)
    return dg.MaterializeResult(
        asset_key=REALISATION,
        metadata=_shown(context, report, outcome(done)),
        check_results=[
            no_rows(REALISATION, _CHECK, pl.DataFrame(report.refused, _REFUSED, orient="row")),
            held_check(platform, REALISATION, STAGE),
        ],
    )


def _shown(
    context: dg.AssetExecutionContext, report: TrackReport, ended: Mapping[str, Any]
) -> dict[str, dg.MetadataValue]:
    """Metadata of the run; each month's metrics and runs are added to its own partition."""
    runs = pl.DataFrame(
        report.runs, schema=["tenant", "model", "commit", "month", "case", "benefit", "new"], orient="row"
    ).with_columns(pl.col("month").cast(pl.Date))
    proposals = pl.DataFrame(
        report.proposals, schema=["tenant", "proposal", "customer", "charge", "amount", "currency"], orient="row"
    )
    metrics = dict(by_partition(context, report.metrics, "month", monthly=True))
    for month, own in by_partition(context, runs, "month", monthly=True):
        context.add_asset_metadata(
            {
                "dagster/row_count": own.height,
                "runs": preview(own.drop("month"), 40),
                "measured": metrics[month].height,
                "metrics": preview(metrics[month]),
                **ended,
            },
            partition_key=month,
        )
    return {"new_proposals": preview(proposals, 40)}
