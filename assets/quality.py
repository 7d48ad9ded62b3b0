"""Reconciliation and release: which tenants' months may be published. Who fails is held; the rest goes on."""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import polars as pl

from assets.asset_helpers import PLATFORM, Result, covered_by, fresh, pending
from assets.billing import MEASURED_MONTHS
from assets.check_results import no_rows
from assets.held import held_check, held_spec, outcome, periods_of
from assets.metadata import by_partition, preview
from assets.partitions import MONTHLY
from assets.resources import Platform, TenantsConfig
from quality.gate import decide_release
from quality.leakage import flag_last_day
from quality.reconciliation import reconcile
from valueverse.platform.isolation import Isolated
from valueverse.schemas.checks import LEAKAGE_FLAGS, RECONCILIATION, REPRODUCED_INVOICES
from valueverse.services.billing.book_journal import booked_tenants
from valueverse.services.billing.open_findings import differing_recomputations, held_releases, unbalanced_days
from valueverse.services.billing.release_inputs import months_to_decide
from valueverse.services.billing.reproducibility_check import reproduce
from valueverse.services.tenant_holds import RELEASE as STAGE
from valueverse.services.tenant_holds import for_each_tenant, held_months

RELEASE = dg.AssetKey(["quality", "release"])
RECONCILED = "lake_agrees_with_invoices"
SUITES = "expectations_hold"
BILLED = "accepted_is_billed_plus_unbilled"
REPRODUCED = "invoices_reproduce"


@dg.asset(
    key=RELEASE,
    deps=[dg.AssetDep(key, partition_mapping=dg.IdentityPartitionMapping()) for key in MEASURED_MONTHS],
    partitions_def=MONTHLY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="quality",
    description="Per tenant and month: released, or held with the reason (suites, reconciliations).",
    owners=PLATFORM,
    kinds={"duckdb", "greatexpectations", "postgres"},
    code_version="1",
    freshness_policy=fresh(26),
    pool="quality",
    check_specs=[
        held_spec(RELEASE),
        dg.AssetCheckSpec(
            RECONCILED,
            asset=RELEASE,
            description="DuckDB recomputes usage and line totals from the lake to the last digit.",
        ),
        dg.AssetCheckSpec(
            SUITES, asset=RELEASE, description="No tenant is held: every Great Expectations suite passes."
        ),
        dg.AssetCheckSpec(
            BILLED, asset=RELEASE, description="Every accepted event is billed, or unbilled with one reason."
        ),
        dg.AssetCheckSpec(
            REPRODUCED,
            asset=RELEASE,
            description="A sample of finalised invoices, worked out again as known then, has the same content hash.",
        ),
    ],
)
def release(context: dg.AssetExecutionContext, config: TenantsConfig, platform: Platform) -> Result:
    """Reconcile and judge each month of the range."""
    first, last = covered_by(context)
    # A decision is quickly made: where one is owed, it is made for all tenants.
    owed = pending(context.instance, MEASURED_MONTHS, RELEASE, context.partition_keys)
    settings, tenants = platform.settings, None if owed else config.chosen()
    months = months_to_decide(settings, first, last)
    done = _compared(context, platform, months, tenants)
    decisions = decide_release(
        settings,
        [f"{month:%Y-%m}" for month in months],
        tenants,
        run_id=context.run.run_id,
        docs=settings.home / "data_docs",
        held=held_months(settings, months),
    )
    parts = done.results or [(RECONCILIATION.to_frame(), REPRODUCED_INVOICES.to_frame(), LEAKAGE_FLAGS.to_frame())]
    reconciliations, again, flags = (pl.concat(frames) for frames in zip(*parts, strict=True))
    docs = dg.MetadataValue.path(str(settings.home / "data_docs"))
    _show(context, decisions, reconciliations, {"data_docs": docs, "outcome": outcome(done)["outcome"]})
    # Flags are of the last day of the newest month.
    context.add_asset_metadata({"leakage": preview(flags)}, partition_key=max(context.partition_keys))
    return dg.MaterializeResult(
        asset_key=RELEASE,
        check_results=[
            # A tenant's fault holds that tenant and must not stop the others: warnings.
            no_rows(RELEASE, RECONCILED, differing_recomputations(settings)),
            no_rows(RELEASE, SUITES, held_releases(settings)),
            no_rows(RELEASE, BILLED, unbalanced_days(settings)),
            no_rows(RELEASE, REPRODUCED, again.filter(~pl.col("ok"))),
            held_check(platform, RELEASE, STAGE),
        ],
    )


def _compared(
    context: dg.AssetExecutionContext, platform: Platform, months: list[date], tenants: Sequence[str] | None
) -> Isolated[tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]]:
    """Reconciliations, invoices worked out again, and flags of leakage; whoever they fail for is held."""
    settings, run_id = platform.settings, context.run.run_id

    def work(chosen: Sequence[str] | None) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        checked = [reconcile(settings, platform.lake, f"{month:%Y-%m}", chosen, run_id=run_id) for month in months]
        again = reproduce(settings, platform.lake, months, tenants=chosen)
        return (
            pl.concat(checked),
            again,
            flag_last_day(settings, platform.lake, months[-1], datetime.now(UTC).date(), chosen),
        )

    return for_each_tenant(
        settings, STAGE, periods_of(context), work,
        run_id=run_id, chosen=tenants, everyone=lambda: booked_tenants(settings),
    )  # fmt: skip


def _show(
    context: dg.AssetExecutionContext, decisions: pl.DataFrame, reconciliations: pl.DataFrame, ended: dict[str, Any]
) -> None:
    """Each month's decisions and recomputations in the metadata of its own partition."""
    first_day = (pl.col("month") + "-01").str.to_date()
    compared = dict(
        by_partition(
            context, reconciliations.with_columns((pl.col("period") + "-01").str.to_date()), "period", monthly=True
        )
    )
    for month, decided in by_partition(context, decisions.with_columns(first_day), "month", monthly=True):
        held = decided.filter(pl.col("status") == "held")
        context.add_asset_metadata(
            {
                "dagster/row_count": decided.height,
                "released_tenants": decided.height - held.height,
                "held_tenants": held.height,
                "recomputed": compared[month].height,
                "recomputed_differently": compared[month].filter(~pl.col("ok")).height,
                "held": preview(held.drop("month"), 40),
                **ended,
            },
            partition_key=month,
        )
