"""Failed partitions tried again, a bounded number of times."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.partitions import contiguous
from pipelines.checks import CHECK, changed_evaluations
from pipelines.failed_partitions import remember_repaired
from pipelines.pending import Work
from pipelines.stages import UNDER_WAY, waiting_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipelines.failed_partitions import Failure
    from pipelines.stages import Stage

RETRY_OF = "valueverse/retry_of"
"""Tag of a run: the run that failed first for its partitions."""
INTERVAL_SECONDS = 60
"""Between two evaluations of the sensor, at least."""
LIMIT = 12
"""Failed runs of the same partitions after which they wait for a person, or for new data: about three days."""
_FIRST, _LONGEST = timedelta(minutes=1), timedelta(days=1)


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many failed runs, at least one: a minute, then twice as long each time, up to a day."""
    return min(_FIRST * (1 << (attempts - 1)), _LONGEST)


@dataclass(frozen=True)
class Repair:
    """A run of a stage's job that does again what a run left undone.

    Attributes:
        stage: whose job it is.
        work: its partitions, with the config of the run that failed.
        failures: what it repairs, all of one run.
    """

    stage: Stage
    work: Work
    failures: Sequence[Failure]

    def is_due(self, now: datetime) -> bool:
        """Whether it is tried by itself: not beyond the limit, not before the pause, not if somebody ended it."""
        attempts = max(one.attempts for one in self.failures)
        ended = max(one.failed_at for one in self.failures)
        cancelled = any(one.cancelled for one in self.failures)
        return not cancelled and attempts <= LIMIT and now >= ended + pause_after(attempts)


def repairs(failures: Iterable[Failure], stages: Sequence[Stage]) -> list[Repair]:
    """The runs that repair these failures, by the stages' order: one per failed run, stage and gapless range."""
    runs: dict[str, list[Failure]] = defaultdict(list)
    for failure in failures:
        runs[failure.run.run_id].append(failure)
    found = [
        repair for group in runs.values() for stage, mine in _by_job(group, stages) for repair in _ranges(stage, mine)
    ]
    order = [stage.name for stage in stages]
    return sorted(found, key=lambda repair: order.index(repair.stage.name))


def _by_job(failures: Sequence[Failure], stages: Sequence[Stage]) -> list[tuple[Stage, list[Failure]]]:
    """The stages whose jobs materialise what a run left undone: as few jobs as possible, of as few assets."""
    left = {failure.asset for failure in failures}
    found = []
    while left:
        best = max(stages, key=lambda stage: (len(left & stage.keys), -len(stage.keys)))
        if not left & best.keys:
            break  # an asset that no stage has any more
        found.append((best, [failure for failure in failures if failure.asset in left & best.keys]))
        left -= best.keys
    return found


def _ranges(stage: Stage, failures: Sequence[Failure]) -> list[Repair]:
    run = failures[0].run
    given: Mapping[str, Any] = run.run_config
    ops = {name: config for name, config in given.get("ops", {}).items() if name in stage.ops}
    config = {"ops": ops} if ops else {}
    key = f"retry:{run.run_id}:{stage.name}"
    if stage.partitions is None:
        return [Repair(stage, Work(key, config=config), failures)]
    keys = {key for failure in failures for key in failure.partitions}
    return [
        Repair(stage, Work(f"{key}:{first}", (first, last), config), failures)
        for first, last in contiguous(keys, monthly=stage.is_monthly)
    ]


def repair_sensor(stages: Sequence[Stage], jobs: Sequence[dg.UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """Tries what failed again and keeps the checks of failed partitions as they are."""

    @dg.sensor(
        name="failed_partitions",
        jobs=jobs,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tries failed partitions again: a minute after the first failure, then twice as long each time, up to a "
            f"day; {LIMIT} times. Lists them in the checks {CHECK} until they are repaired."
        ),
    )
    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        instance, now = context.instance, datetime.now(UTC)
        failures = remember_repaired(instance)
        requests = [
            dg.RunRequest(
                run_key=repair.work.key,
                job_name=repair.stage.job_name,
                run_config=dict(repair.work.config),
                tags={RETRY_OF: repair.failures[0].run_ids[0], **repair.work.tags},
            )
            for repair in repairs(failures, stages)
            if repair.is_due(now) and _is_free(instance, repair.stage, stages)
        ]
        return dg.SensorResult(run_requests=requests, asset_events=changed_evaluations(instance, stages, failures))

    return evaluate


def _is_free(instance: dg.DagsterInstance, stage: Stage, stages: Sequence[Stage]) -> bool:
    """Whether no run of the stage, maybe for the same partitions, is under way, and no upstream stage has work."""
    under_way = dg.RunsFilter(job_name=stage.job_name, statuses=UNDER_WAY)
    return not instance.get_runs(under_way, limit=1) and waiting_for(stage, stages, instance) is None
