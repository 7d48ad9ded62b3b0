"""Work that a run left undone is asked for again: after a kill as after a failure, and not on every tick."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from pipelines.attempts import WORK, asked, pause_after
from pipelines.pending import Work
from pipelines.stages import by_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STAGE = by_name()["billing"]
WORK_DUE = Work("2024-02-01:2024-03-01:7", ("2024-02-01", "2024-03-01"))


@dg.job(name=STAGE.job_name)
def some_job() -> None:
    pass


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as found:
        yield found


def _run(instance: dg.DagsterInstance, request: dg.RunRequest) -> dg.DagsterRun:
    """The run that a daemon would make of the request, under way."""
    tags = {**request.tags, "dagster/run_key": str(request.run_key)}
    return instance.create_run_for_job(some_job, tags=tags, status=dg.DagsterRunStatus.STARTED)


def test_a_run_that_was_killed_is_asked_for_again_after_a_pause(instance: dg.DagsterInstance) -> None:
    now = datetime.now(UTC)
    keys = set()
    for attempt in range(1, 5):
        (request,) = asked(instance, STAGE, WORK_DUE, now)
        assert request.tags[WORK] == WORK_DUE.key
        assert request.tags["dagster/asset_partition_range_end"] == "2024-03-01"
        keys.add(request.run_key)
        run = _run(instance, request)
        assert asked(instance, STAGE, WORK_DUE, now + timedelta(days=1)) == []
        instance.report_run_failed(run, "The process of this run was killed.")
        assert asked(instance, STAGE, WORK_DUE, datetime.now(UTC)) == []
        now = datetime.now(UTC) + pause_after(attempt)
    assert len(keys) == 4


def test_a_new_mark_does_not_wait_for_the_pause_of_the_old_one(instance: dg.DagsterInstance) -> None:
    (request,) = asked(instance, STAGE, WORK_DUE)
    instance.report_run_failed(_run(instance, request))
    assert asked(instance, STAGE, WORK_DUE) == []
    assert [one.run_key for one in asked(instance, STAGE, Work("2024-02-01:2024-03-01:8"))] == [
        "2024-02-01:2024-03-01:8"
    ]


def test_pauses_grow_to_an_hour() -> None:
    pauses = [pause_after(attempts) for attempts in range(1, 9)]
    assert pauses[0] == timedelta(minutes=1)
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(hours=1)
