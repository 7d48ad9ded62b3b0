"""Dagster's own daemon, started as ``make dev`` starts it: what is delivered is taken in, what failed is run again."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from pipelines.checks import CHECK
from pipelines.repairs import RETRY_OF
from tests.support.dagster_world import own_instance
from tests.support.landing import event, founding
from tests.support.shared_servers import refusing_connections
from valueverse.platform.lake import Lake
from valueverse.platform.servers import dagster_home, processes, supervisor
from valueverse.services.lake_tables import EVENTS_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
PATIENCE = 900
"""Seconds: only a daemon that hangs takes as long."""


@pytest.fixture
def installation(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """A running daemon on a Dagster database of its own, which this process reads too."""
    (tmp_path / "workspace.yaml").write_text("load_from: [{python_module: tests.support.daemon_location}]")
    monkeypatch.setattr(supervisor, "project", lambda: tmp_path)
    with own_instance(settings) as own:
        for name, value in dagster_home.environment(own).items():
            monkeypatch.setenv(name, value)
        list(supervisor.up(own, (supervisor.DAEMON,)))
        try:
            yield own
        finally:
            list(supervisor.down(own, (supervisor.DAEMON,)))
            dagster_home.end_stray_code_servers(own)


def test_a_delivered_file_is_taken_in_and_a_run_that_failed_is_run_again_without_any_person(
    installation: Settings,
) -> None:
    record = processes.read_record(installation.run, supervisor.DAEMON)
    assert record is not None

    def wait(ready: Callable[[], bool]) -> None:
        def looked() -> bool:
            time.sleep(0.75)  # each look is a connection more
            return ready()

        done = processes.wait_until(looked, lambda: processes.alive(record), PATIENCE)
        assert done, processes.last_output(installation.logs / f"{supervisor.DAEMON}.log")

    with dg.DagsterInstance.get() as instance:

        def ended(status: dg.DagsterRunStatus) -> list[dg.DagsterRun]:
            return instance.get_runs(dg.RunsFilter(statuses=[status]))

        with refusing_connections(installation):
            file = installation.landing / "acme" / "first.ndjson"
            file.parent.mkdir()
            draft = file.with_suffix(".part")
            draft.write_text("".join(json.dumps(one) + "\n" for one in (founding(), event("e1"))))
            draft.rename(file)
            wait(lambda: bool(ended(dg.DagsterRunStatus.FAILURE)))
        wait(lambda: bool(ended(dg.DagsterRunStatus.SUCCESS)))

        (retried,) = ended(dg.DagsterRunStatus.SUCCESS)
        failed = ended(dg.DagsterRunStatus.FAILURE)
        first = failed[-1]
        assert (first.job_name, first.tags["dagster/sensor_name"]) == ("ingestion_job", "ingestion_on_new_files")
        assert {one.tags["dagster/sensor_name"] for one in (retried, *failed[:-1])} == {"failed_partitions"}
        assert retried.tags[RETRY_OF] == first.run_id

        def repaired() -> bool:
            key = dg.AssetCheckKey(dg.AssetKey(["ingestion", "landing"]), CHECK)
            latest = instance.get_latest_asset_check_evaluation_record(key)
            return latest is not None and latest.evaluation is not None and latest.evaluation.passed

        wait(repaired)
    taken = Lake(installation.lake_url).scan(EVENTS_TABLE).collect()
    assert sorted(taken["id"]) == ["e1", "founding"]
