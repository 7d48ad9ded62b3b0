"""The Dagster instance: its folder, its database in Postgres, the variables its processes need."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from valueverse.platform.servers import processes

if TYPE_CHECKING:
    from pathlib import Path

    from dagster import DagsterInstance, DagsterRun

    from valueverse.platform.settings import Settings

DAEMON = "dagster-daemon"
_HEARTBEAT = 120
"""Seconds within which a living daemon has sent a heartbeat: some times its own interval of 30."""

_INSTANCE = """\
# Written by `valueverse up`; the address and password are in the environment, not here.
storage:
  postgres:
    postgres_url:
      env: VALUEVERSE_DAGSTER_URL
concurrency:
  pools:
    default_limit: 1        # one writer per table: assets name their table's pool
    granularity: op
  runs:
    max_concurrent_runs: 2
run_monitoring:
  enabled: true
  start_timeout_seconds: 300
  cancel_timeout_seconds: 60
  free_slots_after_run_end_seconds: 60
sensors:
  use_threads: true
  num_workers: 2
schedules:
  use_threads: true
  num_workers: 2
retention:
  schedule:
    purge_after_days: 30
  sensor:
    purge_after_days: {skipped: 2, failure: 30, success: 30}
code_servers:
  local_startup_timeout: 180
telemetry:
  enabled: false
nux:
  enabled: false
"""


def prepare(settings: Settings) -> Path:
    """Write ``dagster.yaml`` (ours at every start, so that an update reaches old installations); return the
    folder."""
    settings.dagster_home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = settings.dagster_home / "dagster.yaml"
    if not path.exists() or path.read_text(encoding="utf-8") != _INSTANCE:
        draft = path.with_suffix(".new")
        draft.write_text(_INSTANCE, encoding="utf-8")
        draft.replace(path)
    return settings.dagster_home


def environment(settings: Settings) -> dict[str, str]:
    """Variables of every process that opens the instance; they carry ``VALUEVERSE_*`` on to runs."""
    return {
        **settings.environment(),
        "DAGSTER_HOME": str(settings.dagster_home),
        "VALUEVERSE_DAGSTER_URL": settings.postgres_url("builder", settings.dagster_database),
        "DO_NOT_TRACK": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def end_stray_code_servers(settings: Settings) -> None:
    """Kill what a killed daemon left behind: its code servers, whose runs would write beside new ones.

    Recognised by their command line and ``DAGSTER_HOME``; those of a living server of ours (the web server's) stay.
    """
    import psutil

    known = {record.pid for record in processes.records(settings.run) if processes.alive(record)}
    for process in psutil.process_iter(["pid", "cmdline"]):
        with suppress(psutil.Error):
            if "grpc" not in (process.info["cmdline"] or []):
                continue
            if process.environ().get("DAGSTER_HOME") != str(settings.dagster_home):
                continue
            if known & {parent.pid for parent in process.parents()}:
                continue
            for one in [process, *process.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()


def end_orphaned_runs() -> list[str]:
    """Fail the runs that a code server of ours had started and that died with it; return their ids.

    Called when the daemon, which launches them, does not run, with ``environment`` in place. Such a run would
    hold its place in the queue and its pool for ever. One that another command carries has no such mark.
    """
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        return fail_orphans(instance)


def fail_orphans(instance: DagsterInstance) -> list[str]:
    """``end_orphaned_runs`` of an instance that is open; their places in the pools come free at once."""
    import dagster as dg

    waiting = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    runs = instance.get_runs(dg.RunsFilter(statuses=waiting))
    orphans = [run for run in runs if ".dagster/grpc_info" in run.tags]
    for run in orphans:
        fail_run(instance, run, "The process of this run ended with the servers; launch it again.")
    return [run.run_id for run in orphans]


def clear_after_daemon(settings: Settings, instance: DagsterInstance) -> list[str]:
    """End what a daemon that has ended left over; ids of the runs that were failed.

    A daemon that another host runs, or a person by hand, is known by its heartbeat: its runs are left alone.
    """
    record = processes.read_record(settings.run, DAEMON)
    if record is None:
        beats = instance.get_daemon_heartbeats().values()
        lives = any(time.time() - beat.timestamp < _HEARTBEAT for beat in beats)
    else:
        lives = processes.alive(record)
    if lives:
        return []
    if record is not None:
        end_stray_code_servers(settings)
    return fail_orphans(instance)


def end_lost_runs(settings: Settings, instance: DagsterInstance) -> list[str]:
    """Fail the runs under way whose process has ended, whoever started it; return their ids.

    A killed command, or a killed code server beside a living daemon, reports nothing. The first event of a run has its
    process's pid, and an instant after that process began. Only where this host carries all runs: with servers of ours.
    """
    import dagster as dg

    if settings.external_postgres_url:
        return []
    lost = []
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING])):
        started = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START)
        event = started[0].dagster_event if started else None
        if event is None or event.pid is None:
            continue
        began = processes.start_time(event.pid)
        if began is None or began > started[0].timestamp + 1:
            fail_run(instance, run, "The process of this run was killed.")
            lost.append(run.run_id)
    return lost


def fail_run(instance: DagsterInstance, run: DagsterRun, reason: str) -> None:
    """End a run that has no process any more; its places in the pools come free at once."""
    instance.report_run_failed(run, reason)
    instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
