"""What runs because something changed: exactly the partitions that were touched, once per change."""

from __future__ import annotations

import hashlib
import os
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from assets.marts import missing_relations
from pipelines.alerts import alert_on_check_failure, alert_on_run_failure
from pipelines.attempts import asked
from pipelines.jobs import (
    billing_job,
    ingestion_job,
    journal_job,
    marts_config,
    marts_job,
    release_job,
    usage_job,
    value_job,
)
from pipelines.pending import (
    pending_days,
    pending_journal,
    pending_marts,
    pending_months,
    pending_releases,
    pending_values,
    ranges,
)
from pipelines.retries import RETRIED, retries
from valueverse.platform import warehouse
from valueverse.platform.access.watchdog import end_long_sessions
from valueverse.platform.servers import dagster_home
from valueverse.platform.settings import get_settings

if TYPE_CHECKING:
    from pathlib import Path

UNFINISHED = ".part"
_NOTHING = "Nothing is due, or a run for it is under way, or one has just failed and is asked for again after a pause."
_WAITS = "A run for it is under way, or has just failed and is asked for again after a pause."
UNDER_WAY = [
    *(dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED),
    *(dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING),
]


def landing_state(landing: Path) -> str:
    """Digest of the finished files' names, sizes and times; empty when there is none."""
    if not landing.is_dir():
        return ""
    told = []
    for path in sorted(landing.rglob("*")):
        try:
            found = path.lstat()
        except OSError:
            # Gone since it was listed, or not to be read: ingestion says so, and the others are looked at.
            continue
        if not stat.S_ISDIR(found.st_mode) and path.suffix != UNFINISHED:
            # A file's name may hold any bytes.
            name = os.fsencode(path.relative_to(landing))
            told.append(name + f":{found.st_size}:{found.st_mtime_ns}".encode())
    return hashlib.sha256(b"\n".join(told)).hexdigest() if told else ""


@dg.sensor(
    job=ingestion_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for an ingestion when the landing folder has changed.",
)
def landing_changed(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """One run per state of the folder."""
    state = landing_state(get_settings().landing)
    if not state or state == context.cursor:
        return dg.SkipReason("The landing folder holds nothing new.")
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=state)], cursor=state)


@dg.sensor(
    job=usage_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for usage of exactly the event dates that deliveries have touched.",
)
def touched_days(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per gapless range of touched dates."""
    requests = [
        request
        for partitions, key in ranges(pending_days(context.instance))
        for request in asked(context.instance, usage_job.name, key, partitions)
    ]
    return requests or dg.SkipReason(_NOTHING)


@dg.sensor(
    job=billing_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for invoices of exactly the months whose periods were touched, once usage is derived.",
)
def touched_months(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per gapless range of touched months."""
    if pending_days(context.instance):
        return dg.SkipReason("Usage is still being derived.")
    requests = [
        request
        for partitions, key in ranges(pending_months(context.instance), monthly=True)
        for request in asked(context.instance, billing_job.name, key, partitions)
    ]
    return requests or dg.SkipReason(_NOTHING)


@dg.sensor(
    job=journal_job,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for the journal where a billing run ended after its invoices and before its entries.",
)
def unbooked_invoices(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per billing run that was cut off."""
    under_way = dg.RunsFilter(job_name=billing_job.name, statuses=UNDER_WAY)
    if context.instance.get_runs(under_way, limit=1):
        return dg.SkipReason("A billing run is under way and books its journal itself.")
    billed = pending_journal(context.instance)
    if not billed:
        return dg.SkipReason("The journal is newer than every invoice.")
    return asked(context.instance, journal_job.name, str(billed)) or dg.SkipReason(_WAITS)


@dg.sensor(
    job=value_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for the realised value of exactly the months that were billed since it was measured.",
)
def valued_months(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per gapless range of billed months."""
    if pending_months(context.instance):
        return dg.SkipReason("Billing is still to run.")
    requests = [
        request
        for partitions, key in ranges(pending_values(context.instance), monthly=True)
        for request in asked(context.instance, value_job.name, key, partitions)
    ]
    return requests or dg.SkipReason(_NOTHING)


@dg.sensor(
    job=release_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for the release of exactly the months that were billed since it was decided.",
)
def billed_months(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per gapless range of billed months."""
    if pending_months(context.instance) or pending_values(context.instance):
        return dg.SkipReason("Billing or realised value is still to run.")
    requests = [
        request
        for partitions, key in ranges(pending_releases(context.instance), monthly=True)
        for request in asked(context.instance, release_job.name, key, partitions)
    ]
    return requests or dg.SkipReason(_NOTHING)


@dg.sensor(
    job=marts_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for the marts of the months that were released since they were built.",
)
def released_months(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """One run for all months from the first to the last."""
    if pending_releases(context.instance):
        return dg.SkipReason("Releases are still to be decided.")
    missing = missing_relations(get_settings())
    months = pending_marts(context.instance, missing)
    if not months:
        return dg.SkipReason("The marts show the newest releases.")
    key = ":".join([str(max(months.values())), *missing])
    config = marts_config(min(months), max(months))
    return asked(context.instance, marts_job.name, key, config=config) or dg.SkipReason(_WAITS)


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends database sessions of analysts and of the API that go beyond their bounds.",
)
def long_sessions() -> dg.SkipReason:
    """Asks for no run: what it ended stands in the tick."""
    with warehouse.connect(get_settings(), "builder") as connection:
        ended = end_long_sessions(connection)
    return dg.SkipReason(f"Ended {'; '.join(ended)}." if ended else "No session goes beyond its bounds.")


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Fails runs whose process was killed, so that their places in the pools come free.",
)
def lost_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Asks for no run: the sensor of the stage does, since its work is still due."""
    lost = dagster_home.end_lost_runs(get_settings(), context.instance)
    return dg.SkipReason(f"Failed {', '.join(lost)}." if lost else "Every run under way has a process.")


@dg.sensor(
    jobs=[usage_job, billing_job, value_job, release_job, marts_job],
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tries held tenants again: an hour after the first attempt, then twice as long each time, up to a day.",
)
def held_tenants(context: dg.SensorEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
    """One run per stage and gapless range, for the held tenants alone."""
    now = datetime.now(UTC)
    requests = [
        request
        for stage in RETRIED
        for retry in retries(get_settings(), stage, now)
        for request in asked(context.instance, f"{stage}_job", retry.key, retry.partitions, retry.config(), now)
    ]
    return requests or dg.SkipReason("No held tenant is due.")


SENSORS = [
    held_tenants,
    long_sessions,
    lost_runs,
    landing_changed,
    touched_days,
    touched_months,
    unbooked_invoices,
    valued_months,
    billed_months,
    released_months,
    alert_on_run_failure,
    alert_on_check_failure,
]
