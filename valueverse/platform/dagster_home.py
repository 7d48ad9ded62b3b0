"""The Dagster instance: its folder, its database in Postgres, the variables its processes need."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from valueverse.platform import processes

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.settings import Settings

_INSTANCE = """\
# Written by `valueverse up`; the address and password stand in the environment, not here.
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

    Told by their command line and ``DAGSTER_HOME``; those of a living server of ours (the web server's) stay.
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

    waiting = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    with dg.DagsterInstance.get() as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=waiting))
        orphans = [run for run in runs if ".dagster/grpc_info" in run.tags]
        for run in orphans:
            instance.report_run_failed(run, "The process of this run ended with the servers; launch it again.")
        return [run.run_id for run in orphans]
