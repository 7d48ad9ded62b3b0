"""The stages from files to marts, in their order: one row each.

Jobs, sensors, schedules, the catch-up, the retries and the demo's list of steps are generated from this table
(``docs/decisions/0820-stages-are-rows-of-a-table.md``). A new stage is one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from assets import audit, billing, ingestion, journal, marts, metering, quality, value
from assets.partitions import DAILY, MONTHLY
from pipelines import pending
from valueverse.services import tenant_holds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipelines.pending import Work

UNDER_WAY = [
    *(dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED),
    *(dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING),
]


@dataclass(frozen=True)
class Sensor:
    """What asks for a stage's pending work; ``seconds`` between two evaluations, at least."""

    name: str
    description: str
    seconds: int = 30


@dataclass(frozen=True)
class Schedule:
    """When a stage runs by the clock (UTC), and how many of its newest partitions it then runs in any case."""

    name: str
    cron: str
    description: str
    newest: int = 0


@dataclass(frozen=True)
class Stage:
    """One row.

    Attributes:
        name: key of the stage; its job is ``{name}_job``.
        summary: what it does, in a few words, for people who watch a catch-up.
        description: of the job.
        assets: what the job materialises, with the checks on it.
        sensor: asks for the pending work.
        pending: the work that is due now.
        marks: assets that are recorded by the job and run by none.
        checks: of its assets and marks that the job runs after them, apart from those that an asset makes itself.
        partitions: of the work; None: the stage is not partitioned.
        upstream: stages without whose pending work this one is asked for.
        apart_from: stages during whose runs this one is not asked for.
        schedule: when it runs by the clock.
        holds: name under which ``services.tenant_holds`` holds tenants whom this stage tries again by runs of its own.
        always: a catch-up runs it whether or not work is pending.
        main_asset: carries the checks of the whole stage; None: the first asset does.
    """

    name: str
    summary: str
    description: str
    assets: Sequence[dg.AssetsDefinition]
    sensor: Sensor
    pending: Callable[[dg.DagsterInstance], list[Work]]
    marks: Sequence[dg.AssetSpec] = ()
    checks: Sequence[dg.AssetChecksDefinition] = ()
    partitions: dg.TimeWindowPartitionsDefinition | None = None
    upstream: Sequence[str] = ()
    apart_from: Sequence[str] = ()
    schedule: Schedule | None = None
    holds: str | None = None
    always: bool = False
    main_asset: dg.AssetKey | None = None

    @property
    def keys(self) -> set[dg.AssetKey]:
        """Keys of its assets."""
        return {key for asset in self.assets for key in asset.keys}

    @property
    def shown_on(self) -> dg.AssetKey:
        """The asset that carries the checks of the whole stage."""
        return self.main_asset or self.assets[0].key

    @property
    def job_name(self) -> str:
        """Name of its job."""
        return f"{self.name}_job"

    @property
    def ops(self) -> list[str]:
        """Names of the ops that its assets are made of, as run config has them."""
        return [asset.op.name for asset in self.assets]

    @property
    def is_monthly(self) -> bool:
        """Whether its partitions are months."""
        return self.partitions is MONTHLY

    def tenants_config(self, tenants: Sequence[str]) -> Mapping[str, object]:
        """Run config of its job for these tenants alone."""
        return {"ops": {op: {"config": {"tenants": list(tenants)}} for op in self.ops}}


STAGES = (
    Stage(
        name="ingestion",
        summary="take landing files into the lake",
        description="Take landing files and events of the API into the lake and mark the partitions they touch.",
        assets=(ingestion.landing, ingestion.billing_facts),
        marks=(ingestion.events, ingestion.periods, ingestion.cost_months),
        checks=(ingestion.lake_holds_every_accepted_event, ingestion.every_billing_event_is_one_fact),
        pending=pending.events_to_take,
        sensor=Sensor(
            "ingestion_on_new_files",
            "Asks for an ingestion when the landing folder has changed, or events of the API wait.",
        ),
        schedule=Schedule(
            "ingestion_hourly", "0 * * * *", "Every hour: takes landing files that the sensor has missed."
        ),
        always=True,
    ),
    Stage(
        name="usage",
        summary="derive usage of the touched dates",
        description="Derive typed usage of a range of event dates.",
        assets=(metering.usage,),
        pending=pending.newer(ingestion.EVENTS, metering.USAGE, monthly=False),
        partitions=DAILY,
        sensor=Sensor("usage_on_touched_days", "Asks for usage of exactly the event dates that were touched."),
        schedule=Schedule(
            "usage_hourly", "17 * * * *", "Every hour: today's usage, and every date that is out of date.", newest=1
        ),
        holds=tenant_holds.USAGE,
    ),
    Stage(
        name="billing",
        summary="bill the touched months",
        description="Bill a range of months: every period that closes in them; then book the journal.",
        assets=(billing.invoices, journal.journal),
        marks=(billing.changed_months,),
        pending=pending.newer(ingestion.PERIODS, billing.INVOICES, monthly=True),
        partitions=MONTHLY,
        upstream=("usage",),
        sensor=Sensor(
            "billing_on_touched_months",
            "Asks for invoices of exactly the months whose periods were touched, once usage is derived.",
        ),
        schedule=Schedule(
            "billing_daily",
            "30 2 * * *",
            "Every day: the open month, and the one before it, whose drafts come out of grace.",
            newest=2,
        ),
        holds=tenant_holds.BILLING,
    ),
    Stage(
        name="journal",
        summary="book what was billed",
        description="Book the journal of what was billed by a run that ended before it did.",
        assets=(journal.journal,),
        pending=pending.unbooked_invoices,
        apart_from=("billing",),
        sensor=Sensor(
            "journal_on_unbooked_invoices",
            "Asks for the journal where a billing run ended after its invoices and before its entries.",
            seconds=60,
        ),
    ),
    Stage(
        name="value",
        summary="measure committed value models",
        description="Measure committed value models in the months of a range that are over; propose fees.",
        assets=(value.realisation,),
        pending=pending.newer(billing.MEASURED_MONTHS, value.REALISATION, monthly=True),
        partitions=MONTHLY,
        upstream=("billing",),
        sensor=Sensor(
            "value_on_billed_months",
            "Asks for the value of exactly the months that were billed, or got a cost, since it was measured.",
        ),
        schedule=Schedule(
            "value_daily",
            "30 3 * * *",
            "Every day after billing: measure committed value models in the same two months.",
            newest=2,
        ),
        holds=tenant_holds.VALUE,
    ),
    Stage(
        name="release",
        summary="reconcile and decide what is published",
        description="Reconcile a range of months and decide which tenants may be published.",
        assets=(quality.release,),
        pending=pending.newer(billing.MEASURED_MONTHS, quality.RELEASE, monthly=True),
        partitions=MONTHLY,
        upstream=("billing", "value"),
        sensor=Sensor(
            "release_on_billed_months",
            "Asks for the release of exactly the months that were billed, or got a cost, since.",
        ),
        schedule=Schedule(
            "release_daily",
            "30 4 * * *",
            "Every day after billing: reconcile the same two months and decide again.",
            newest=2,
        ),
        holds=tenant_holds.RELEASE,
    ),
    Stage(
        name="marts",
        summary="build and test the marts",
        description="Build the marts of released tenants; config narrows it to tenants and months.",
        assets=(marts.dbt_models,),
        marks=(marts.published,),
        checks=(marts.no_tenant_is_held_by_the_marts,),
        main_asset=marts.DIM_TENANT,
        pending=pending.unpublished_months,
        upstream=("release",),
        sensor=Sensor("marts_on_released_months", "Asks for the marts of the months that were released since."),
        schedule=Schedule(
            "marts_daily", "30 5 * * *", "Every day after the release: all marts and all of their tests."
        ),
        holds=tenant_holds.MARTS,
    ),
    Stage(
        name="audit",
        summary="order and sign the audit log",
        description="Put what was done since into the tenants' audit logs, verify them and sign checkpoints.",
        assets=(audit.audit_log,),
        pending=pending.audit_entries,
        sensor=Sensor("audit_on_new_entries", "Asks for the audit log where something was done since.", seconds=300),
        schedule=Schedule("audit_daily", "50 5 * * *", "Every day: verify every log, also where nothing was done."),
    ),
)


def by_name(stages: Sequence[Stage] = STAGES) -> dict[str, Stage]:
    """Name -> stage, in the table's order."""
    return {stage.name: stage for stage in stages}


def waiting_for(stage: Stage, stages: Sequence[Stage], instance: dg.DagsterInstance) -> str | None:
    """The first upstream stage with pending work, which this one waits for; None: it may run."""
    table = by_name(stages)
    return next((name for name in stage.upstream if table[name].pending(instance)), None)
