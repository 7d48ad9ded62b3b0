"""Reconciliation and release: which tenants' months may be published. Who fails is held; the rest goes on."""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg
import polars as pl

from assets.billing import INVOICES
from assets.kit import OWNERS, Result, fresh, keys_of, pending, preview
from assets.partitions import MONTHLY, months_between
from assets.resources import Platform, TenantsConfig
from assets.steps.reproduce import reproduce
from quality.gate import decide_release
from quality.leakage import FLAGS, flag_leakage
from quality.reconciliation import reconcile
from valueverse.lake_tables import USAGE_TABLE

RELEASE = dg.AssetKey(["quality", "release"])
RECONCILED = "lake_agrees_with_invoices"
SUITES = "expectations_hold"
BILLED = "accepted_is_billed_plus_unbilled"
REPRODUCED = "invoices_reproduce"


@dg.asset(
    key=RELEASE,
    deps=[
        dg.AssetDep(INVOICES, partition_mapping=dg.IdentityPartitionMapping()),
    ],
    partitions_def=MONTHLY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="quality",
    description="Per tenant and month: released, or held with the reason (suites, reconciliations).",
    owners=OWNERS,
    kinds={"duckdb", "greatexpectations", "postgres"},
    code_version="1",
    freshness_policy=fresh(26),
    pool="quality",
    check_specs=[
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
    first, last = keys_of(context)
    # A decision is quickly made: where one is owed, it is made for all tenants.
    owed = pending(context.instance, INVOICES, RELEASE, context.partition_keys)
    settings, tenants = platform.settings, None if owed else config.chosen()
    months = [f"{month:%Y-%m}" for month in months_between(first, last)]
    checked, decided = [], []
    for month in months:
        checked.append(reconcile(settings, platform.lake, month, tenants, run_id=context.run.run_id))
        docs = settings.home / "data_docs" if month == months[-1] else None
        decisions = decide_release(settings, month, tenants, run_id=context.run.run_id, docs=docs)
        decided.append(decisions.with_columns(pl.lit(month).alias("month")))
    reconciliations, decisions = pl.concat(checked), pl.concat(decided)
    again = reproduce(settings, platform.lake, list(months_between(first, last)), tenants=tenants)
    flags = _leakage(platform, tenants)
    held = decisions.filter(pl.col("status") == "held")
    return dg.MaterializeResult(
        asset_key=RELEASE,
        metadata={
            "dagster/row_count": decisions.height,
            "held": preview(held),
            "decisions": preview(decisions, 40),
            "leakage": preview(flags),
            "data_docs": dg.MetadataValue.path(str(settings.home / "data_docs")),
        },
        check_results=[
            _check(RECONCILED, reconciliations.filter(~pl.col("ok"))),
            _check(SUITES, held),
            _check(BILLED, _leaks(platform, months)),
            _check(REPRODUCED, again.filter(~pl.col("ok"))),
        ],
    )


def _leakage(platform: Platform, tenants: Sequence[str] | None) -> pl.DataFrame:
    """Flags of the last complete day that the lake holds."""
    today = datetime.now(UTC).date()
    last = max((day for day in platform.lake.dates(USAGE_TABLE) if day < today), default=None)
    return FLAGS.to_frame() if last is None else flag_leakage(platform.settings, platform.lake, last, tenants)


def _check(name: str, wrong: pl.DataFrame) -> dg.AssetCheckResult:
    # A tenant's fault holds that tenant and is told; it must not stop the others: a warning to Dagster.
    return dg.AssetCheckResult(
        check_name=name,
        asset_key=RELEASE,
        passed=wrong.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"wrong": wrong.height, "rows": preview(wrong)},
    )


def _leaks(platform: Platform, months: list[str]) -> pl.DataFrame:
    """Tenants and days on which accepted events are neither billed nor unbilled."""
    with platform.warehouse() as connection:
        rows = connection.execute(
            "select tenant_id, day, accepted, billed, unbilled from billing.event_day "
            "where to_char(day, 'YYYY-MM') = any(%s) and accepted <> billed + unbilled order by 1, 2",
            [months],
        ).fetchall()
    return pl.DataFrame(rows, schema=["tenant_id", "day", "accepted", "billed", "unbilled"], orient="row")
