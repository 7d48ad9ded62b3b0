"""Usage and billing facts become invoices: drafts at a period's close, finalised after the tenant's grace."""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from assets.asset_helpers import PLATFORM, Result, covered_by, fresh, mark, pending, preview, until_unmarked
from assets.held import held_check, held_spec, outcome, periods_of
from assets.ingestion import FACTS, PERIODS
from assets.metering import USAGE
from assets.partitions import MONTHLY
from assets.resources import Platform, TenantsConfig
from valueverse.platform.isolation import Isolated
from valueverse.services.billing.run_billing import BillingReport, bill, invoice_totals
from valueverse.services.tenant_holds import BILLING, for_each_tenant, tenants_of

INVOICES = dg.AssetKey(["billing", "invoices"])


class BillingConfig(TenantsConfig):
    """Tenants, and the moment the run takes for now."""

    as_of: str = Field(default="", description="RFC 3339 instant to bill as of; empty means the present.")

    def moment(self) -> datetime:
        """The instant of ``as_of``."""
        if not self.as_of:
            return datetime.now(UTC)
        moment = datetime.fromisoformat(self.as_of)
        if moment.tzinfo is None:
            raise dg.Failure(f"as_of: {self.as_of!r} has no offset; write it as '2024-01-31T00:00:00Z'")
        return moment.astimezone(UTC)


@dg.asset(
    key=INVOICES,
    deps=[
        dg.AssetDep(
            USAGE,
            # An anniversary period that closes in a month began in an earlier one.
            partition_mapping=dg.TimeWindowPartitionMapping(
                start_offset=-1, allow_nonexistent_upstream_partitions=True
            ),
        ),
        dg.AssetDep(PERIODS, partition_mapping=dg.IdentityPartitionMapping()),
        FACTS,
    ],
    partitions_def=MONTHLY,
    backfill_policy=dg.BackfillPolicy.single_run(),
    group_name="billing",
    description="Invoices of all periods that close in the month (Postgres); finalised ones never change.",
    owners=PLATFORM,
    kinds={"polars", "postgres"},
    code_version="1",
    freshness_policy=fresh(26),
    pool="billing",
    check_specs=[held_spec(INVOICES)],
)
def invoices(context: dg.AssetExecutionContext, config: BillingConfig, platform: Platform) -> Iterator[Result]:
    """Bill the range's months; months that other tenants still wait for stay out of date."""
    owed = pending(context.instance, PERIODS, INVOICES, context.partition_keys) if config.tenants else {}
    first, last = covered_by(context)
    settings, lake, run_id = platform.settings, platform.lake, context.run.run_id
    as_of = config.moment()

    def work(tenants: Sequence[str] | None) -> BillingReport:
        return bill(settings, lake, first, last, as_of=as_of, run_id=run_id, tenants=tenants)

    def isolated() -> Isolated[BillingReport]:
        return for_each_tenant(
            settings, BILLING, periods_of(context), work,
            run_id=run_id, chosen=config.chosen(), everyone=lambda: tenants_of(lake),
        )  # fmt: skip

    done = until_unmarked(context, PERIODS, isolated)
    yield dg.MaterializeResult(
        asset_key=INVOICES,
        metadata=_metadata(done.results) | outcome(done),
        check_results=[held_check(platform, INVOICES, BILLING)],
    )
    mark(context, PERIODS, owed, {"because": "other tenants"})


def _metadata(reports: Sequence[BillingReport]) -> dict[str, Any]:
    if not reports:
        return {}
    billed = pl.concat([report.invoices for report in reports])
    return {
        "dagster/row_count": billed.height,
        "totals": preview(invoice_totals(billed), 40),
        "preview": preview(billed),
        "held_invoices": preview(pl.concat([report.problems for report in reports])),
    }
