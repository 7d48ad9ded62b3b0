"""Run, here and now, whatever is out of date: the sensors' work without waiting for them.

``python -m pipelines.catch_up`` runs the jobs of this code location on the Dagster instance of the
environment, each partition range as one run, and tells each step on standard output as one JSON object per
line.
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

from assets.marts import missing_relations
from assets.partitions import range_tags
from pipelines.definitions import defs
from pipelines.jobs import marts_config
from pipelines.pending import (
    pending_days,
    pending_journal,
    pending_marts,
    pending_months,
    pending_releases,
    pending_values,
    ranges,
)
from pipelines.retries import retries
from valueverse.platform.outages import dagster_outage, outage
from valueverse.platform.servers import dagster_home, processes
from valueverse.platform.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from valueverse.platform.settings import Settings

STAGES = ("ingestion", "usage", "billing", "journal", "value", "release", "marts")
_PARTITIONED = {
    "usage": (pending_days, False),
    "billing": (pending_months, True),
    "value": (pending_values, True),
    "release": (pending_releases, True),
}
"""Stage -> which of its partitions are due, and whether they are months."""
LAUNCHER = {"valueverse/launched_by": "catch_up"}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class Step:
    """One run of a job: what it covered, how it ended, how long it took, and why it failed."""

    stage: str
    partitions: str
    run_id: str
    seconds: float
    ok: bool
    error: str = ""


class StepFailedError(Exception):
    """A run failed; what it was about stands in the step that was told last."""


def catch_up(instance: dg.DagsterInstance, tell: Callable[[Step], None], until: str = STAGES[-1]) -> None:
    """Ingest, then run every pending partition range stage by stage, up to and including ``until``.

    Raises:
        StepFailedError: a run failed; later stages wait for the next time.
    """
    end_killed_runs(instance)
    for stage in STAGES[: STAGES.index(until) + 1]:
        if stage in _PARTITIONED:
            due, monthly = _PARTITIONED[stage]
            for asked, _ in ranges(due(instance), monthly=monthly):
                _run(instance, tell, stage, asked)
            _again(instance, tell, stage)
        elif stage == "ingestion" or (stage == "journal" and pending_journal(instance)):
            _run(instance, tell, stage)
        elif stage == "marts":
            _again(instance, tell, stage)
            if months := pending_marts(instance, missing_relations(get_settings())):
                _run(instance, tell, stage, config=marts_config(min(months), max(months)))


def _again(instance: dg.DagsterInstance, tell: Callable[[Step], None], stage: str) -> None:
    """Try the tenants that the stage holds again, whether or not their next attempt is due."""
    for retry in retries(get_settings(), stage):
        _run(instance, tell, stage, retry.partitions, retry.config())


def _run(
    instance: dg.DagsterInstance,
    tell: Callable[[Step], None],
    stage: str,
    partitions: tuple[str, str] | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    tags: Mapping[str, str] = {**LAUNCHER, **(range_tags(*partitions) if partitions else {})}
    began = time.perf_counter()
    result = defs.resolve_job_def(f"{stage}_job").execute_in_process(
        run_config={**QUIET, **(config or {})}, instance=instance, tags=tags, raise_on_error=False
    )
    failures = [event for event in result.all_events if event.is_failure]
    step = Step(
        stage,
        "...".join(dict.fromkeys(partitions)) if partitions else "",
        result.run_id,
        round(time.perf_counter() - began, 3),
        result.success,
        _reason(failures),
    )
    tell(step)
    if not result.success:
        raise StepFailedError(step.error)


def _reason(failures: list[dg.DagsterEvent]) -> str:
    for event in failures:
        if event.is_step_failure and event.step_failure_data.error:
            error = event.step_failure_data.error
            cause = error.cause or error
            return dagster_outage(cause.cls_name or "", cause.message)
    return failures[0].message or "" if failures else ""


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
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1], help="last stage to run")
    chosen = parser.parse_args(arguments)
    out = _own_stdout()

    def tell(step: Step) -> None:
        out.write(json.dumps(asdict(step)) + "\n")
        out.flush()

    try:
        settings = get_settings()
        _use_instance(settings)
        with processes.locked(settings.run / "catch_up.lock", 600), dg.DagsterInstance.get() as instance:
            # Dagster opens connections for every event otherwise: thousands when it plans the checks of the marts.
            instance.optimize_for_webserver(statement_timeout=0, pool_recycle=3600, max_overflow=20)
            # A run without a process would hold its place in the pools for ever, and we would wait for it.
            dagster_home.clear_after_daemon(settings, instance)
            dagster_home.end_lost_runs(settings, instance)
            catch_up(instance, tell, chosen.until)
    except StepFailedError:
        return 1
    except Exception as error:
        # Postgres keeps Dagster's instance too: when it ends, no run is left that could tell.
        refusal = outage(error)
        if refusal is None:
            raise
        tell(Step("servers", "", "", 0.0, ok=False, error=refusal.message))
        return 1
    return 0


def _use_instance(settings: Settings) -> None:
    dagster_home.prepare(settings)
    os.environ.update(dagster_home.environment(settings))
    # A range run records an event per partition; one by one they would take longer than the work.
    os.environ.setdefault("DAGSTER_EVENT_BATCH_SIZE", "1000")


if __name__ == "__main__":
    raise SystemExit(main())
