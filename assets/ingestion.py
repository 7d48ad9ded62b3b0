"""Landing files become events of the lake.

``ingestion/landing`` is not partitioned: which dates a delivery touches is known only once it is read. It
marks exactly those daily partitions of ``lake/events`` as renewed (and ``lake/billing_facts`` those months
of ``billing/periods``); what stands downstream of a mark is out of date until it has run after it. See
``docs/decisions/0801-marks-say-what-is-out-of-date.md``.
"""
# No postponed annotations here: Dagster reads the types of config and resources when it is imported.

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import polars as pl

from assets.asset_helpers import OWNERS, Result, bars, fresh, mark, preview
from assets.held import held_check, held_spec, outcome
from assets.partitions import DAILY, MONTHLY, daily_keys, monthly_keys
from assets.resources import Platform
from valueverse.events.schema import BILLING_FACTS
from valueverse.platform.isolation import Failure
from valueverse.platform.stores.held_store import WHOLE
from valueverse.services.ingestion.file_manifest import record_published
from valueverse.services.ingestion.file_status import publish_ingestion
from valueverse.services.ingestion.ingest import IngestionReport, ingest
from valueverse.services.ingestion.invalidation import touched_between, touched_months
from valueverse.services.ingestion.landing_state import landing_state
from valueverse.services.tenant_holds import FACTS as STAGE
from valueverse.services.tenant_holds import for_each_tenant, held_tenants
from valueverse.services.usage.derive_usage import facts_of, senders, write_facts

LANDING = dg.AssetKey(["ingestion", "landing"])
EVENTS = dg.AssetKey(["lake", "events"])
FACTS = dg.AssetKey(["lake", "billing_facts"])
PERIODS = dg.AssetKey(["billing", "periods"])
_WRITTEN = "every_file_is_told_in_the_warehouse"
_STATE = "landing_state"
BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)

events = dg.AssetSpec(
    key=EVENTS,
    group_name="ingestion",
    description="Accepted events (Delta, append only), marked per event date whenever a delivery touches it.",
    partitions_def=DAILY,
    deps=[LANDING],
    owners=OWNERS,
    kinds={"deltalake", "polars"},
    code_version="1",
)

periods = dg.AssetSpec(
    key=PERIODS,
    group_name="billing",
    description="Months in which a period closes or starts that touched events may change; a mark, no table.",
    partitions_def=MONTHLY,
    deps=[FACTS],
    owners=OWNERS,
    kinds={"deltalake"},
    code_version="1",
)


@dg.asset(
    key=LANDING,
    group_name="ingestion",
    description="Reads, validates and dedups every landing file not yet taken; bad lines go to quarantine.",
    owners=OWNERS,
    kinds={"polars", "deltalake"},
    code_version="1",
    freshness_policy=fresh(1),
    pool="ingestion",
    check_specs=[
        dg.AssetCheckSpec(
            "received_is_accepted_plus_duplicate_plus_quarantined",
            asset=LANDING,
            description="Nothing is lost and nothing is counted twice, per tenant and file.",
        ),
        dg.AssetCheckSpec(
            _WRITTEN,
            asset=LANDING,
            description="What became of every file stands in the warehouse; else whose does not.",
        ),
    ],
)
def landing(context: dg.AssetExecutionContext, platform: Platform) -> Result:
    """Take the landing files; mark the event dates they touch."""
    settings, lake = platform.settings, platform.lake
    now = datetime.now(UTC)
    state = landing_state(settings.landing)
    report = ingest(lake, settings.landing, settings.home / "index", now)
    with platform.warehouse() as connection:
        unwritten = publish_ingestion(connection, report)
    if not unwritten:
        record_published(lake)
    columns = ["tenant", "event_date"]
    missed = touched_between(lake, marked_until(context.instance, LANDING), now)
    touched = pl.concat([report.touched.select(columns), missed.select(columns)]).unique().sort(columns)
    mark(context, EVENTS, daily_keys(_dates(touched), now.date()), {"received_at": now.isoformat()})
    return dg.MaterializeResult(
        asset_key=LANDING,
        metadata=_metadata(report, touched, now) | {_STATE: state},
        check_results=[_adds_up(report.files), _written(unwritten)],
    )


@dg.asset(
    key=FACTS,
    deps=[LANDING],
    group_name="ingestion",
    description="Every billing event, resolved against amendments and voids (Delta, rewritten whole).",
    owners=OWNERS,
    kinds={"polars", "deltalake"},
    code_version="1",
    freshness_policy=fresh(1),
    pool="ingestion",
    check_specs=[held_spec(FACTS)],
)
def billing_facts(context: dg.AssetExecutionContext, platform: Platform) -> Result:
    """Rewrite the billing facts; mark the months that what was touched since the last time may change."""
    now = datetime.now(UTC)
    settings, lake = platform.settings, platform.lake
    touched = touched_between(lake, marked_until(context.instance, FACTS), now)
    # What a held tenant touched has not been marked yet.
    held = held_tenants(settings, STAGE)
    if held:
        missed = touched_between(lake, BEGINNING, now).filter(pl.col("tenant").is_in(held))
        touched = pl.concat([touched, missed]).group_by("tenant", "event_date").agg(pl.col("has_usage").any())

    def work(tenants: Sequence[str] | None) -> tuple[pl.DataFrame, list[date]]:
        facts = facts_of(lake, tenants)
        mine = touched if tenants is None else touched.filter(pl.col("tenant").is_in(list(tenants)))
        months = touched_months(facts, mine.sort("tenant", "event_date"), now)
        write_facts(lake, facts, tenants)
        return facts, months

    done = for_each_tenant(
        settings, STAGE, [WHOLE], work, run_id=context.run.run_id, chosen=None, everyone=lambda: senders(lake)
    )
    facts = pl.concat([part for part, _ in done.results]) if done.results else BILLING_FACTS.to_frame()
    months = monthly_keys({month for _, part in done.results for month in part}, now.date())
    mark(context, PERIODS, months, {"touched_dates": str(touched.height)})
    kinds = facts.group_by("tenant", "type").agg(pl.len().alias("events")).sort("tenant", "type")
    return dg.MaterializeResult(
        asset_key=FACTS,
        metadata={
            "dagster/row_count": facts.height,
            "received_until": now.isoformat(),
            "touched_months": dg.MetadataValue.json(months),
            "preview": preview(kinds, 40),
            **outcome(done),
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


def _dates(touched: pl.DataFrame) -> list[date]:
    return list(touched["event_date"].unique())


def _adds_up(files: pl.DataFrame) -> dg.AssetCheckResult:
    parts = pl.sum_horizontal("accepted", "duplicate", "quarantined")
    wrong = files.filter(pl.col("received") != parts)
    return dg.AssetCheckResult(
        check_name="received_is_accepted_plus_duplicate_plus_quarantined",
        asset_key=LANDING,
        passed=wrong.is_empty(),
        metadata={"files": files.height, "wrong": preview(wrong)},
    )


def _written(failures: Sequence[Failure]) -> dg.AssetCheckResult:
    """A warning: files of the others are shown, and the next ingestion writes those of all again."""
    return dg.AssetCheckResult(
        check_name=_WRITTEN,
        asset_key=LANDING,
        passed=not failures,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(f"tenant {one.tenant}: {one.message} [{one.code}]" for one in failures[:5]) or None,
    )


def _metadata(report: IngestionReport, touched: pl.DataFrame, now: datetime) -> dict[str, Any]:
    counts = {name: int(report.files[name].sum()) for name in ("received", "accepted", "duplicate", "quarantined")}
    reasons = report.reasons.group_by("reason").agg(pl.col("events").sum()).sort("events", descending=True)
    return {
        "dagster/row_count": counts["accepted"],
        **counts,
        "received_until": now.isoformat(),
        "touched_dates": dg.MetadataValue.json([day.isoformat() for day in sorted(_dates(touched))]),
        "files": preview(report.files),
        "left_alone": preview(pl.DataFrame(report.ignored, schema={"name": pl.String, "reason": pl.String})),
        "quarantined_by_reason": bars(reasons, "reason", "events"),
    }
