"""Run, here and now, whatever is out of date: the sensors' work without waiting for them.

``python -m pipelines.catch_up`` runs the jobs of this code location on the Dagster instance of the environment, each
partition range as one run, and writes a line of JSON to standard output when a step begins and when it has ended, and
with ``--asked`` when all is done that a line of standard input asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TextIO

import dagster as dg

from pipelines.checks import changed_evaluations
from pipelines.definitions import defs
from pipelines.failed_partitions import error_of, failed_partitions, remember_repaired
from pipelines.pending import Work
from pipelines.repairs import repairs
from pipelines.retries import retries
from pipelines.stages import STAGES
from valueverse.platform.outages import outage
from valueverse.platform.servers import dagster_home, processes
from valueverse.platform.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipelines.stages import Stage
    from valueverse.platform.settings import Settings

LAUNCHER = {"valueverse/launched_by": "catch_up"}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class Step:
    """One run of a job: what it covered, how it ended, how long it took, and why it failed."""

    stage: str
    summary: str
    partitions: str
    run_id: str
    seconds: float
    ok: bool
    error: str = ""


def _nobody(_stage: Stage, _partitions: str) -> None:
    """Nobody is to be informed of a step that begins."""


class StepFailedError(Exception):
    """A run failed; the step that was reported last says which and why."""


def catch_up(
    instance: dg.DagsterInstance,
    report: Callable[[Step], None],
    until: str | None = None,
    stages: Sequence[Stage] = STAGES,
    definitions: dg.Definitions = defs,
    announce: Callable[[Stage, str], None] = _nobody,
) -> None:
    """Run everything that is pending, stage by stage.

    Args:
        instance: Dagster's.
        report: is given each step once it has ended.
        announce: is given the stage and the partitions of each step before it begins.
        until: name of the last stage to run; None: all of them.
        stages: the table of stages.
        definitions: with their jobs.

    Raises:
        StepFailedError: a run failed; later stages wait for the next time.
    """
    end_killed_runs(instance)
    try:
        for stage in stages:
            for work in _due(instance, stage, stages):
                announce(stage, _partitions(work))
                step = _run(instance, definitions.resolve_job_def(stage.job_name), stage, work)
                report(step)
                if not step.ok:
                    raise StepFailedError(step.error)
            if stage.name == until:
                return
    finally:
        for evaluation in changed_evaluations(instance, stages, remember_repaired(instance)):
            instance.report_runless_asset_event(evaluation)


def _due(instance: dg.DagsterInstance, stage: Stage, stages: Sequence[Stage]) -> Iterator[Work]:
    """The stage's pending work, its held tenants and what failed in it, whether or not their next attempt is due.

    Each part is looked up when the one before it has run. A run for the pending partitions of a stage covers held
    tenants, so they come after it; one of a stage without partitions leaves them out, so they come before.
    """
    if stage.partitions is None:
        yield from retries(get_settings(), stage)
    yield from stage.pending(instance) or ([Work("")] if stage.always else [])
    if stage.partitions is not None:
        yield from retries(get_settings(), stage)
    yield from (repair.work for repair in repairs(failed_partitions(instance), stages) if repair.stage is stage)


def _run(instance: dg.DagsterInstance, job: dg.JobDefinition, stage: Stage, work: Work) -> Step:
    began = time.perf_counter()
    result = job.execute_in_process(
        run_config={**QUIET, **work.config}, instance=instance, tags={**LAUNCHER, **work.tags}, raise_on_error=False
    )
    failures = [event for event in result.all_events if event.is_failure]
    return Step(
        stage.name,
        stage.summary,
        _partitions(work),
        result.run_id,
        round(time.perf_counter() - began, 3),
        result.success,
        error_of(failures),
    )


def _partitions(work: Work) -> str:
    """The partitions of a run: one key, the first and the last, or nothing."""
    return "...".join(dict.fromkeys(work.partitions or ()))


def end_killed_runs(instance: dg.DagsterInstance) -> None:
    """Fail the runs of an earlier catch-up that was killed, so that their places in the pools come free.

    The caller holds the lock of catch-ups: an unfinished run of ours has no process any more.
    """
    unfinished = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED]
    for run in instance.get_runs(dg.RunsFilter(tags=LAUNCHER, statuses=unfinished)):
        dagster_home.fail_run(instance, run, "The process of this run was killed.")


def _own_stdout() -> TextIO:
    """Standard output for our lines alone: what dbt and others print goes to standard error from now on."""
    ours = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return ours


def main(arguments: list[str] | None = None) -> int:
    """Run up to the stage asked for; 0 if every run succeeded."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.catch_up", description=__doc__)
    stages = [stage.name for stage in STAGES]
    parser.add_argument("--until", choices=stages, help="last stage to run")
    asked = "read the last stage to run from standard input, a line for each time; an empty line: all stages"
    parser.add_argument("--asked", action="store_true", help=asked)
    chosen = parser.parse_args(arguments)
    out = _own_stdout()

    def write(line: dict[str, Any]) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    if not chosen.asked:
        return _catch_up(chosen.until, write)
    for line in sys.stdin:
        if code := _catch_up(line.strip() or None, write):
            return code
        write({"reached": line.strip()})
    return 0


def _catch_up(until: str | None, write: Callable[[dict[str, Any]], None]) -> int:
    """Run everything that is pending on this environment's instance; 0 if every run succeeded."""

    def report(step: Step) -> None:
        write(asdict(step))

    def announce(stage: Stage, partitions: str) -> None:
        write({"begins": stage.name, "summary": stage.summary, "partitions": partitions})

    try:
        settings = get_settings()
        _use_instance(settings)
        with processes.locked(settings.run / "catch_up.lock", 600), dg.DagsterInstance.get() as instance:
            # Dagster opens connections for every event otherwise: thousands when it plans the checks of the marts.
            instance.optimize_for_webserver(statement_timeout=0, pool_recycle=3600, max_overflow=20)
            # A run without a process would hold its place in the pools for ever, and we would wait for it.
            dagster_home.clear_after_daemon(settings, instance)
            dagster_home.end_lost_runs(settings, instance)
            catch_up(instance, report, until, announce=announce)
    except StepFailedError:
        return 1
    except Exception as error:
        # Postgres keeps Dagster's instance too: when it ends, no run is left that could report it.
        refusal = outage(error)
        if refusal is None:
            raise
        report(Step("servers", "", "", "", 0.0, ok=False, error=refusal.message))
        return 1
    return 0


def _use_instance(settings: Settings) -> None:
    dagster_home.prepare(settings)
    os.environ.update(dagster_home.environment(settings))
    # A range run records an event per partition; one by one they would take longer than the work.
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")


if __name__ == "__main__":
    raise SystemExit(main())
