"""Landing files become events of the lake.

``ingestion/landing`` is not partitioned: which dates a delivery touches is known only once it is read. It
marks exactly those daily partitions of ``lake/events`` as renewed (and ``lake/billing_facts`` those months
of ``billing/periods`` and ``value/cost_months``); what is downstream of a mark is out of date until it has run
after it. See
``docs/decisions/0801-marks-say-what-is-out-of-date.md``.
"""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import polars as pl

from assets.asset_helpers import PLATFORM, Result, code_in, fresh, mark, mark_changed
from assets.check_results import no_rows, result
from assets.held import held_check, held_spec, outcome
from assets.metadata import bars, preview
from assets.partitions import DAILY, MONTHLY, daily_keys, monthly_keys
from assets.resources import Platform
from valueverse.platform.lake import Lake
from valueverse.services.ingestion.run_ingestion import LandingReport, run_ingestion
from valueverse.services.ingestion.stored_events import accepted_and_held, repeated_facts, unbalanced_files
from valueverse.services.lake_tables import EVENTS_TABLE
from valueverse.services.months import FIRST_DAY
from valueverse.services.tenant_holds import FACTS as STAGE
from valueverse.services.usage.refresh_facts import BEGINNING, refresh_facts

LANDING = dg.AssetKey(["ingestion", "landing"])
EVENTS = dg.AssetKey(["lake", "events"])
FACTS = dg.AssetKey(["lake", "billing_facts"])
PERIODS = dg.AssetKey(["billing", "periods"])
COST_MONTHS = dg.AssetKey(["value", "cost_months"])
_COSTS = "costs"
_ADDS_UP = "received_is_accepted_plus_duplicate_plus_quarantined"
_WRITTEN = "every_file_is_recorded_in_the_warehouse"
_TAKEN = "every_file_is_taken"
_STATE = "landing_state"

events = dg.AssetSpec(
    key=EVENTS,
    group_name="ingestion",
    description="Accepted events (Delta, append only), marked per event date whenever a delivery touches it.",
    partitions_def=DAILY,
    deps=[LANDING],
    owners=PLATFORM,
    kinds={"deltalake", "polars"},
    code_version="1",
    metadata=code_in(__file__),
)

periods = dg.AssetSpec(
    key=PERIODS,
    group_name="billing",
    description="Months of the periods that touched events may change, and of one-offs, payments and the like; a mark.",
    partitions_def=MONTHLY,
    deps=[FACTS],
    owners=PLATFORM,
    kinds={"deltalake"},
    code_version="1",
    metadata=code_in(__file__),
)


cost_months = dg.AssetSpec(
    key=COST_MONTHS,
    group_name="value",
    description="Months whose recorded costs of serving have changed, billed or not; a mark, no table.",
    partitions_def=MONTHLY,
    deps=[FACTS],
    owners=PLATFORM,
    kinds={"deltalake"},
    code_version="1",
    metadata=code_in(__file__),
)


@dg.asset(
    key=LANDING,
    group_name="ingestion",
    description="Reads, validates and dedups every landing file not yet taken; bad lines go to quarantine.",
    owners=PLATFORM,
    kinds={"polars", "deltalake"},
    code_version="1",
    freshness_policy=fresh(3),
    pool="ingestion",
    check_specs=[
        dg.AssetCheckSpec(
            _ADDS_UP,
            asset=LANDING,
            description="Nothing is lost and nothing is counted twice, per tenant and file.",
        ),
        dg.AssetCheckSpec(
            _WRITTEN,
            asset=LANDING,
            description="The state of every file is recorded in the warehouse; else the files that are not.",
        ),
        dg.AssetCheckSpec(
            _TAKEN,
            asset=LANDING,
            description="Everything that lies in the landing folder is taken; else what is not, and why.",
        ),
    ],
)
def landing(context: dg.AssetExecutionContext, platform: Platform) -> Result:
    """Take the landing files; mark the event dates they touch."""
    now = datetime.now(UTC)
    report = run_ingestion(platform.settings, platform.lake, marked_until(context.instance, LANDING), now)
    touched = daily_keys(report.touched, now.date())
    mark(context, EVENTS, touched, {"received_at": now.isoformat()}, _rows_of_dates(platform.lake))
    return dg.MaterializeResult(
        asset_key=LANDING,
        metadata=_metadata(report, now),
        check_results=[
            no_rows(LANDING, _ADDS_UP, unbalanced_files(platform.lake), dg.AssetCheckSeverity.ERROR),
            _recorded_in_warehouse(report),
            no_rows(LANDING, _TAKEN, report.ignored()),
        ],
    )


@dg.asset(
    key=FACTS,
    deps=[LANDING],
    group_name="ingestion",
    description="Every billing event, resolved against amendments and voids (Delta, rewritten whole).",
    owners=PLATFORM,
    kinds={"polars", "deltalake"},
    code_version="1",
    freshness_policy=fresh(3),
    pool="ingestion",
    check_specs=[held_spec(FACTS)],
)
def billing_facts(context: dg.AssetExecutionContext, platform: Platform) -> Result:
    """Rewrite the billing facts; mark the months that what was touched since the last time, or a cost, may change."""
    now = datetime.now(UTC)
    since, run_id = marked_until(context.instance, FACTS), context.run.run_id
    report = refresh_facts(platform.settings, platform.lake, since, now, run_id=run_id)
    months = monthly_keys(report.months, now.date())
    mark(context, PERIODS, months, {"touched_dates": str(report.touched_dates)})
    mark_changed(context, COST_MONTHS, _COSTS, report.cost_months)
    return dg.MaterializeResult(
        asset_key=FACTS,
        metadata={
            "dagster/row_count": report.facts.height,
            "received_until": now.isoformat(),
            "touched_months": dg.MetadataValue.json(months),
            "preview": preview(report.kinds(), 40),
            **outcome(report.done),
        },
        check_results=[held_check(platform, FACTS, STAGE)],
    )


def marked_until(instance: dg.DagsterInstance, key: dg.AssetKey) -> datetime:
    """Received-at instant up to which the asset's materialisations have marked what was touched."""
    found = _recorded(instance, key, "received_until")
    return datetime.fromisoformat(found) if found else BEGINNING


def recorded_state(instance: dg.DagsterInstance) -> str | None:
    """State of the landing folder (``landing_state``) before the last ingestion read it."""
    return _recorded(instance, LANDING, _STATE)


def _recorded(instance: dg.DagsterInstance, key: dg.AssetKey, name: str) -> str | None:
    """A text in the metadata of the asset's last materialisation."""
    last = instance.get_latest_materialization_event(key)
    found = last.asset_materialization.metadata.get(name) if last and last.asset_materialization else None
    return str(found.value) if found else None


def _recorded_in_warehouse(report: LandingReport) -> dg.AssetCheckResult:
    """A warning: files of the others are shown, and the next ingestion writes those of all again."""
    shown = [f"tenant {one.tenant}: {one.message} [{one.code}]" for one in report.unrecorded[:5]]
    return result(LANDING, _WRITTEN, passed=not report.unrecorded, description="; ".join(shown) or None)


def _rows_of_dates(lake: Lake) -> dict[str, int]:
    """Events that the lake holds, by daily partition, as the table's log says."""
    day = pl.max_horizontal("date", pl.lit(FIRST_DAY)).cast(pl.String).alias("day")
    files = lake.open(EVENTS_TABLE).files().select(day, pl.col("rows").fill_null(0))
    rows = dict.fromkeys(files["day"], 0)
    for key, count in files.iter_rows():
        rows[key] += count
    return rows


@dg.asset_check(
    asset=EVENTS,
    name="lake_holds_every_accepted_event",
    description="The table of events has as many rows as its commits say that files brought.",
    additional_deps=[LANDING],
)
def lake_holds_every_accepted_event(platform: Platform) -> dg.AssetCheckResult:
    """Both are read from the table's log alone."""
    accepted, held = accepted_and_held(platform.lake)
    return result(
        EVENTS,
        "lake_holds_every_accepted_event",
        passed=accepted == held,
        severity=dg.AssetCheckSeverity.ERROR,
        description=None if accepted == held else f"{accepted:,} events were accepted, the lake holds {held:,}",
        metadata={"accepted": accepted, "held": held},
    )


@dg.asset_check(
    asset=FACTS,
    name="every_billing_event_is_one_fact",
    description="No billing event is among the facts twice.",
)
def every_billing_event_is_one_fact(platform: Platform) -> dg.AssetCheckResult:
    """Of the table as it lies in the lake."""
    return no_rows(FACTS, "every_billing_event_is_one_fact", repeated_facts(platform.lake), dg.AssetCheckSeverity.ERROR)


def _metadata(report: LandingReport, now: datetime) -> dict[str, Any]:
    counts = report.counts()
    ignored = report.ignored()
    return {
        "dagster/row_count": counts["accepted"],
        **counts,
        _STATE: report.state,
        "received_until": now.isoformat(),
        "touched_dates": dg.MetadataValue.json([day.isoformat() for day in report.touched]),
        "files": preview(report.files.files),
        "ignored_files": ignored.height,
        "ignored": preview(ignored, 40),
        "quarantined_by_reason": bars(report.quarantined_by_reason(), "reason", "events"),
    }
