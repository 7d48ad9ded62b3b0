from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg

from pipelines.catch_up import LAUNCHER, end_killed_runs

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
