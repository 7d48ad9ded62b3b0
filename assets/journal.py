"""The journal, booked after every billing run, and the rules that hold of every journal."""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

import dagster as dg
import polars as pl

from assets.billing import INVOICES, BillingConfig
from assets.ingestion import FACTS
from assets.kit import OWNERS, Result, fresh, preview
from assets.resources import Platform
from assets.steps.book_journal import book_journal
from valueverse.ledger.invariants import BALANCED, DEFERRED_RUNS_OUT, RECEIVABLE_EXPLAINED, WALLETS_HOLD

JOURNAL = dg.AssetKey(["billing", "journal"])
_SENTENCES = {
    BALANCED: "Debits equal credits in every entry, which is in one currency.",
    RECEIVABLE_EXPLAINED: "A customer's receivable is invoices less payments, credit notes and prepaid money used.",
    DEFERRED_RUNS_OUT: "Deferred revenue of every invoice runs to 0 over its service periods.",
    WALLETS_HOLD: "No more is taken from a wallet than was put in.",
}


@dg.asset(
    key=JOURNAL,
    deps=[INVOICES, FACTS],
    group_name="billing",
    description="Double entry of everything booked (Postgres): entries are added, never changed.",
    owners=OWNERS,
    kinds={"polars", "postgres"},
    code_version="1",
    freshness_policy=fresh(26),
    pool="journal",
    check_specs=[
        dg.AssetCheckSpec(rule, asset=JOURNAL, description=sentence, blocking=True)
        for rule, sentence in _SENTENCES.items()
    ],
)
def journal(context: dg.AssetExecutionContext, config: BillingConfig, platform: Platform) -> Result:
    """Book what was finalised, voided, paid and granted since, then check the books."""
    report = book_journal(
        platform.settings,
        platform.lake,
        as_of=config.moment(),
        run_id=context.run.run_id,
        tenants=config.chosen(),
    )
    entries = report.journal.entries
    kinds = entries.group_by("tenant", "kind", "currency").agg(pl.len().alias("entries")).sort("tenant", "kind")
    return dg.MaterializeResult(
        asset_key=JOURNAL,
        metadata={
            "dagster/row_count": entries.height,
            "booked": preview(kinds, 40),
            "not_booked": preview(report.rejected),
        },
        check_results=[_check(rule, report.violations.filter(pl.col("rule") == rule)) for rule in _SENTENCES],
    )


def _check(rule: str, wrong: pl.DataFrame) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=rule,
        asset_key=JOURNAL,
        passed=wrong.is_empty(),
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={"wrong": wrong.height, "rows": preview(wrong)},
    )
