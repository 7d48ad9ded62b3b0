from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from pipelines.catch_up import LAUNCHER, end_killed_runs
from valueverse.platform.servers.dagster_home import DAEMON, clear_after_daemon, end_lost_runs
from valueverse.platform.servers.processes import Record, start_time, write_record
from valueverse.platform.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@dg.job
def some_job() -> None:
    pass


def test_a_run_whose_process_was_killed_ends_and_frees_its_place(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.event_log_storage.set_concurrency_slots("metering", 1)
        killed = instance.create_run_for_job(some_job, tags=LAUNCHER, status=dg.DagsterRunStatus.STARTED)
        claimed = instance.event_log_storage.claim_concurrency_slot("metering", killed.run_id, "usage")
        assert claimed.is_claimed
        end_killed_runs(instance)
        found = instance.get_run_by_id(killed.run_id)
        assert found is not None
        assert found.status == dg.DagsterRunStatus.FAILURE
        again = instance.event_log_storage.claim_concurrency_slot("metering", "another", "usage")
        assert again.is_claimed


def test_a_run_that_somebody_else_started_is_left_alone(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        other = instance.create_run_for_job(some_job, status=dg.DagsterRunStatus.STARTED)
        end_killed_runs(instance)
        found = instance.get_run_by_id(other.run_id)
        assert found is not None
        assert found.status == dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "gone without a word"])
def test_a_run_that_died_with_its_daemon_does_not_hold_up_the_next_one(tmp_path: Path, killed: bool) -> None:
    settings = Settings(home=tmp_path / "home")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        orphan = _of_a_daemon(instance)
        if killed:
            write_record(settings.run, Record(DAEMON, 2**22 + 1, 0.0, ""))
        assert clear_after_daemon(settings, instance) == [orphan.run_id]
        assert instance.event_log_storage.claim_concurrency_slot("metering", "another", "usage").is_claimed


@pytest.mark.parametrize("here", [True, False], ids=["ours", "of another host"])
def test_runs_of_a_daemon_that_lives_are_left_alone(tmp_path: Path, here: bool) -> None:
    settings = Settings(home=tmp_path / "home")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        _of_a_daemon(instance)
        if here:
            write_record(settings.run, Record(DAEMON, os.getpid(), start_time(os.getpid()) or 0.0, ""))
        else:
            instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - 40, "SENSOR", "1", []))
        assert clear_after_daemon(settings, instance) == []
        assert not instance.event_log_storage.claim_concurrency_slot("metering", "another", "usage").is_claimed


def test_a_run_whose_process_lives_no_more_is_failed_whoever_started_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        ours, gone, reused = (
            instance.create_run_for_job(some_job, status=dg.DagsterRunStatus.STARTED) for _ in range(3)
        )
        for run, pid, at in (
            (ours, os.getpid(), time.time()),
            (gone, 2**22 + 1, time.time()),
            (reused, os.getpid(), 1.0),
        ):
            event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, some_job.name, pid=pid)
            instance.store_event(
                dg.EventLogEntry(None, 10, "", run.run_id, at, job_name=some_job.name, dagster_event=event)
            )
        elsewhere = settings.model_copy(update={"external_postgres_url": "postgresql://another.host/valueverse"})
        assert end_lost_runs(elsewhere, instance) == []
        assert sorted(end_lost_runs(settings, instance)) == sorted([gone.run_id, reused.run_id])
        assert end_lost_runs(settings, instance) == []


def _of_a_daemon(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """A run under way that holds the one place of a pool."""
    instance.event_log_storage.set_concurrency_slots("metering", 1)
    run = instance.create_run_for_job(some_job, tags={".dagster/grpc_info": "{}"}, status=dg.DagsterRunStatus.STARTED)
    assert instance.event_log_storage.claim_concurrency_slot("metering", run.run_id, "usage").is_claimed
    return run
