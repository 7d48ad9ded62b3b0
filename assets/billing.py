"""Usage and billing facts become invoices: drafts at a period's close, finalised after the tenant's grace."""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl
from pydantic import Field

from assets.asset_helpers import (
    PLATFORM,
    Result,
    code_in,
    covered_by,
    fresh,
    mark,
    mark_changed,
    pending,
    until_unmarked,
)
from assets.check_results import no_rows
from assets.held import held_check, held_spec, outcome, periods_of
from assets.ingestion import COST_MONTHS, FACTS, PERIODS
from assets.metadata import by_partition, money, preview, with_amount
from assets.metering import USAGE
from assets.partitions import MONTHLY
from assets.resources import Platform, TenantsConfig
from valueverse.platform.isolation import Isolated
from valueverse.schemas.invoicing import HELD_LINES
from valueverse.services.billing.monthly_totals import invoice_states, monthly_totals
from valueverse.services.billing.open_findings import lines_without_an_amount, rejected_events
from valueverse.services.billing.run_billing import BillingReport, bill
from valueverse.services.tenant_holds import BILLING, for_each_tenant, tenants_of

INVOICES = dg.AssetKey(["billing", "invoices"])
CHANGED = dg.AssetKey(["billing", "changed_months"])
MEASURED_MONTHS = (INVOICES, CHANGED, COST_MONTHS)
"""What asks for a month's value and release: the run that billed it, any that changed an invoice in it, and a cost."""
_STATE = "invoices_state"
BILLED = "every_period_is_billed"
APPLIED = "every_billing_event_is_applied"
_WAITING = "lines_without_a_price"


changed_months = dg.AssetSpec(
    key=CHANGED,
    group_name="billing",
    description="Months in which a billing run wrote, finalised, voided or credited an invoice; a mark, no table.",
    partitions_def=MONTHLY,
    deps=[INVOICES],
    owners=PLATFORM,
    kinds={"postgres"},
    code_version="1",
    metadata=code_in(__file__),
)


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
    check_specs=[
        held_spec(INVOICES),
        dg.AssetCheckSpec(
            BILLED, asset=INVOICES, description="No invoice of the run's months waits for a line that has no price."
        ),
        dg.AssetCheckSpec(
            APPLIED, asset=INVOICES, description="Every billing event so far could be applied; else which not, and why."
        ),
    ],
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
    problems = pl.concat([HELD_LINES.to_frame(), *(report.problems for report in done.results)])
    _show(context, monthly_totals(settings, first, last), problems, outcome(done))
    mark_changed(context, CHANGED, _STATE, invoice_states(platform.settings))
    yield dg.MaterializeResult(
        asset_key=INVOICES,
        check_results=[
            held_check(platform, INVOICES, BILLING),
            no_rows(INVOICES, BILLED, lines_without_an_amount(settings)),
            no_rows(INVOICES, APPLIED, rejected_events(settings)),
        ],
    )
    mark(context, PERIODS, owed, {"because": "other tenants"})


def _show(
    context: dg.AssetExecutionContext, totals: pl.DataFrame, problems: pl.DataFrame, ended: Mapping[str, Any]
) -> None:
    """Each month's invoices, whichever run wrote them, in the metadata of its own partition."""
    waiting = dict(by_partition(context, problems, "month", monthly=True))
    currencies = sorted(totals["currency"].unique())
    for month, own in by_partition(context, totals, "month", monthly=True):
        billed = dict.fromkeys(currencies, 0)  # a month without one is 0 in its plot
        number: dict[str, int] = defaultdict(int)
        for currency, status, invoices, total in own.select(
            "currency", "status", "invoices", "total_minor"
        ).iter_rows():
            number[status] += invoices
            billed[currency] += 0 if status == "voided" else int(total)
        largest = own.drop("month").sort("total_minor", descending=True).head(40)
        context.add_asset_metadata(
            {
                "dagster/row_count": int(own["invoices"].sum()),
                "drafts": number["draft"],
                "finalised": number["finalised"],
                "voided": number["voided"],
                "billed": ", ".join(money(total, currency) for currency, total in billed.items()) or "nothing",
                # Whole numbers, so that Dagster plots them without rounding.
                **{f"{currency} billed (minor units)": total for currency, total in billed.items()},
                "totals": preview(with_amount(largest, "total_minor", "total"), 40),
                _WAITING: waiting[month].height,
                **ended,
            },
            partition_key=month,
        )
