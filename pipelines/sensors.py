"""What runs because something changed: exactly the partitions that were touched, once per change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from pipelines.alerts import alert_on_check_failure, alert_on_run_failure, freshness_sensor
from pipelines.repairs import repair_sensor
from pipelines.retries import retries
from pipelines.stages import UNDER_WAY, waiting_for
from valueverse.platform.access.watchdog import end_all_long_sessions
from valueverse.platform.servers import dagster_home
from valueverse.platform.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.pending import Work
    from pipelines.stages import Stage

_NOTHING = "Nothing is pending."


def sensors_of(stages: Sequence[Stage], jobs: Sequence[dg.UnresolvedAssetJobDefinition]) -> list[dg.SensorDefinition]:
    """A sensor per row, retries of held tenants and of failed partitions, and those that watch runs and sessions."""
    return [
        *(_pending_work(stage, stages) for stage in stages),
        _held_tenants(stages, jobs),
        repair_sensor(stages, jobs),
        long_sessions,
        lost_runs,
        alert_on_run_failure,
        alert_on_check_failure,
        freshness_sensor(stages),
    ]


def _pending_work(stage: Stage, stages: Sequence[Stage]) -> dg.SensorDefinition:
    """One run per gapless range of pending partitions, once no stage before it has work to do."""

    @dg.sensor(
        name=stage.sensor.name,
        job_name=stage.job_name,
        minimum_interval_seconds=stage.sensor.seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=stage.sensor.description,
    )
    def evaluate(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        if (before := waiting_for(stage, stages, context.instance)) is not None:
            return dg.SkipReason(f"Stage {before} still has pending work.")
        for other in stage.apart_from:
            under_way = dg.RunsFilter(job_name=f"{other}_job", statuses=UNDER_WAY)
            if context.instance.get_runs(under_way, limit=1):
                return dg.SkipReason(f"A run of stage {other} is under way.")
        return [_request(stage, work) for work in stage.pending(context.instance)] or dg.SkipReason(_NOTHING)

    return evaluate


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends database sessions of analysts and of the API that go beyond their bounds.",
)
def long_sessions() -> dg.SkipReason:
    """Asks for no run: the tick names what it ended."""
    ended = end_all_long_sessions(get_settings())
    return dg.SkipReason(f"Ended {'; '.join(ended)}." if ended else "No session goes beyond its bounds.")


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Fails runs whose process was killed, so that their places in the pools come free.",
)
def lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Asks for no run: the sensor ``failed_partitions`` does."""
    lost = dagster_home.end_lost_runs(get_settings(), context.instance)
    return dg.SkipReason(f"Failed {', '.join(lost)}." if lost else "Every run under way has a process.")


def _request(stage: Stage, work: Work) -> dg.RunRequest:
    """Dagster makes one run per sensor and key: what it leaves undone is tried again by ``failed_partitions``."""
    return dg.RunRequest(run_key=work.key, job_name=stage.job_name, run_config=dict(work.config), tags=work.tags)


def _held_tenants(stages: Sequence[Stage], jobs: Sequence[dg.UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """One run per stage and gapless range, for the held tenants alone."""
    retried = [stage for stage in stages if stage.holds]

    @dg.sensor(
        name="held_tenants",
        jobs=[job for job, stage in zip(jobs, stages, strict=True) if stage.holds],
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tries held tenants again: an hour after the first attempt, then twice as long each time, up to a day."
        ),
    )
    def evaluate() -> list[dg.RunRequest] | dg.SkipReason:
        now = datetime.now(UTC)
        requests = [_request(stage, work) for stage in retried for work in retries(get_settings(), stage, now)]
        return requests or dg.SkipReason("No held tenant is due.")

    return evaluate
