"""What runs by the clock, as a net below the sensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from assets.partitions import contiguous, newest_keys, range_tags
from pipelines.failed_partitions import failed_partitions
from pipelines.stages import UNDER_WAY, waiting_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.stages import Schedule, Stage


def schedules_of(stages: Sequence[Stage]) -> list[dg.ScheduleDefinition]:
    """A schedule per row that has one."""
    return [_definition(stage, stage.schedule, stages) for stage in stages if stage.schedule]


def _definition(stage: Stage, schedule: Schedule, stages: Sequence[Stage]) -> dg.ScheduleDefinition:
    """The newest partitions and the pending ones, one run per gapless range; without partitions one run."""

    @dg.schedule(
        name=schedule.name,
        job_name=stage.job_name,
        cron_schedule=schedule.cron,
        description=schedule.description,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        at = context.scheduled_execution_time
        if stage.partitions is None:
            return [dg.RunRequest(run_key=f"{at:%Y-%m-%dT%H:%M}")]
        keys = newest_keys(at.date(), schedule.newest, monthly=stage.is_monthly)
        keys |= _pending_keys(stage, stages, context.instance)
        return [
            dg.RunRequest(run_key=f"{at:%Y-%m-%dT%H:%M}:{first}", tags=range_tags(first, last))
            for first, last in contiguous(keys, monthly=stage.is_monthly)
        ]

    return evaluate


def _pending_keys(stage: Stage, stages: Sequence[Stage], instance: dg.DagsterInstance) -> set[str]:
    """Partitions that are out of date and did not fail; none while a run of the stage, maybe for them, is under way."""
    under_way = dg.RunsFilter(job_name=stage.job_name, statuses=UNDER_WAY)
    if stage.partitions is None or waiting_for(stage, stages, instance) or instance.get_runs(under_way, limit=1):
        return set()
    failed = {
        key for one in failed_partitions(instance) if one.asset in stage.keys for key in one.partitions
    }  # their retries are bounded
    keys = {
        key
        for work in stage.pending(instance)
        if work.partitions
        for key in stage.partitions.get_partition_keys_in_range(dg.PartitionKeyRange(*work.partitions))
    }
    return keys - failed
