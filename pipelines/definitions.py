"""The code location that ``workspace.yaml`` names. Loading it needs no server."""

from __future__ import annotations

import dagster as dg

from assets import billing, ingestion, journal, marts, metering, quality, value
from assets.resources import Platform
from pipelines.jobs import JOBS
from pipelines.schedules import SCHEDULES
from pipelines.sensors import SENSORS

defs = dg.Definitions(
    assets=[
        ingestion.landing,
        ingestion.events,
        ingestion.billing_facts,
        ingestion.periods,
        metering.usage,
        billing.invoices,
        journal.journal,
        value.realisation,
        quality.release,
        marts.published,
        marts.dbt_models,
    ],
    asset_checks=[marts.no_tenant_is_held_by_the_marts],
    resources={"platform": Platform(), "dbt": marts.dbt_resource()},
    jobs=JOBS,
    schedules=SCHEDULES,
    sensors=SENSORS,
)
