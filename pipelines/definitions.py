"""The code location that ``workspace.yaml`` names. Loading it needs no server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from assets import marts
from assets.resources import Platform
from pipelines import privacy, webhooks
from pipelines.checks import checks_of
from pipelines.jobs import jobs_of
from pipelines.schedules import schedules_of
from pipelines.sensors import sensors_of
from pipelines.stages import STAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.stages import Stage


def definitions_of(stages: Sequence[Stage]) -> dg.Definitions:
    """Everything that a table of stages comes to."""
    jobs = jobs_of(stages)
    # Two stages may materialise the same asset.
    assets: dict[int, dg.AssetsDefinition | dg.AssetSpec] = {}
    for stage in stages:
        assets |= {id(asset): asset for asset in stage.assets}
        assets |= {id(mark): mark for mark in stage.marks}
    return dg.Definitions(
        assets=dg.with_source_code_references(list(assets.values())),
        asset_checks=[*(check for stage in stages for check in stage.checks), *checks_of(stages)],
        resources={"platform": Platform(), "dbt": marts.dbt_resource()},
        jobs=[*jobs, *privacy.JOBS, webhooks.purge_webhooks_job],
        # Concurrency is by pool, not by process: one run's steps are few and follow each other. This holds for what
        # the UI and `dagster asset materialize` run, too.
        executor=dg.in_process_executor,
        schedules=[*schedules_of(stages), *privacy.SCHEDULES, *webhooks.SCHEDULES],
        sensors=sensors_of(stages, jobs),
    )


defs = definitions_of(STAGES)
