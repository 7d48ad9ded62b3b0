"""The journal, booked after every billing run, and the rules that hold of every journal."""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

from collections.abc import Sequence

import dagster as dg
import polars as pl

from assets.asset_helpers import PLATFORM, Result, fresh
from assets.billing import INVOICES, BillingConfig
from assets.check_results import no_rows
from assets.held import held_check, held_spec, outcome
from assets.ingestion import FACTS
from assets.metadata import preview, with_amount
from assets.resources import Platform
from valueverse.ledger import BALANCED, DEFERRED_RUNS_OUT, RECEIVABLE_EXPLAINED, WALLETS_HOLD
from valueverse.schemas.events import REJECTED_EVENTS
from valueverse.schemas.ledger import JOURNAL_ENTRIES, JOURNAL_POSTINGS, JOURNAL_VIOLATIONS
from valueverse.services.billing.book_journal import JournalReport, book_journal, booked_tenants
from valueverse.services.tenant_holds import JOURNAL as STAGE
from valueverse.services.tenant_holds import WHOLE, for_each_tenant

JOURNAL = dg.AssetKey(["billing", "journal"])
_BOOKED = "every_payment_is_booked"
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
    owners=PLATFORM,
    kinds={"polars", "postgres"},
    code_version="1",
    freshness_policy=fresh(26),
    pool="journal",
    check_specs=[
        held_spec(JOURNAL),
        dg.AssetCheckSpec(_BOOKED, asset=JOURNAL, description="No payment lacks what it is booked on; else which."),
        *(
            dg.AssetCheckSpec(rule, asset=JOURNAL, description=sentence, blocking=True)
            for rule, sentence in _SENTENCES.items()
        ),
    ],
)
def journal(context: dg.AssetExecutionContext, config: BillingConfig, platform: Platform) -> Result:
    """Book what was finalised, voided, paid and granted since, then check the books."""
    settings, lake, run_id, as_of = platform.settings, platform.lake, context.run.run_id, config.moment()

    def work(tenants: Sequence[str] | None) -> JournalReport:
        return book_journal(settings, lake, as_of=as_of, run_id=run_id, tenants=tenants)

    done = for_each_tenant(
        settings, STAGE, [WHOLE], work, run_id=run_id, chosen=config.chosen(), everyone=lambda: booked_tenants(settings)
    )
    entries = pl.concat([part.journal.entries for part in done.results] or [JOURNAL_ENTRIES.to_frame()])
    violations = pl.concat([part.violations for part in done.results] or [JOURNAL_VIOLATIONS.to_frame()])
    rejected = pl.concat([part.rejected for part in done.results] or [REJECTED_EVENTS.to_frame()])
    postings = pl.concat([part.journal.postings for part in done.results] or [JOURNAL_POSTINGS.to_frame()])
    return dg.MaterializeResult(
        asset_key=JOURNAL,
        metadata={
            "dagster/row_count": entries.height,
            "booked": preview(_booked(entries, postings), 40),
            "not_booked": preview(rejected),
            **outcome(done),
        },
        check_results=[
            *(
                no_rows(JOURNAL, rule, violations.filter(pl.col("rule") == rule), dg.AssetCheckSeverity.ERROR)
                for rule in _SENTENCES
            ),
            no_rows(JOURNAL, _BOOKED, rejected),
            held_check(platform, JOURNAL, STAGE),
        ],
    )


def _booked(entries: pl.DataFrame, postings: pl.DataFrame) -> pl.DataFrame:
    """tenant, kind, currency, entries, debits: the entries of a run and what they move."""
    debits = postings.filter(pl.col("amount_minor") > 0).group_by("tenant", "entry_id").agg(pl.sum("amount_minor"))
    kinds = (
        entries.join(debits, on=["tenant", "entry_id"], how="left")
        .group_by("tenant", "kind", "currency")
        .agg(pl.len().alias("entries"), pl.sum("amount_minor"))
        .sort("tenant", "kind", "currency")
    )
    return with_amount(kinds.head(40), "amount_minor", "debits")
