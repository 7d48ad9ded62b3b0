"""Dagster and the API as background processes: started, watched, reported, stopped with all they
started."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support import shared_servers
from valueverse.errors import RefusalError
from valueverse.platform import warehouse
from valueverse.platform.servers import api_services, dagster_home, diagnosis, processes, supervisor
from valueverse.platform.settings import Settings
from valueverse.platform.telemetry.logs import make_log
from valueverse.services.operations.installation_metrics import InstallationMetrics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration

WEB = supervisor._Program(lambda _settings, port: ["http.server", str(port), "--bind", "127.0.0.1"], "api_port", "/")


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """An installation on the shared servers whose API is a small web server of the standard library."""
    for name in (supervisor.API, *api_services.BESIDE):
        monkeypatch.setitem(supervisor._PROGRAMS, name, replace(WEB, port=f"{name}_port"))
    yield settings
    list(supervisor.down(settings))


def up(settings: Settings, *names: str) -> supervisor.Status:
    return list(supervisor.up(settings, names))[-1]


def test_a_program_starts_once_is_found_and_stops(world: Settings) -> None:
    first = up(world, "api")
    assert (first.state, first.detail) == ("running", "")
    assert supervisor.url(world, "api") == first.where
    with urllib.request.urlopen(first.where) as answer:
        assert answer.status == 200
    assert up(world, "api").detail == "already"
    assert list(supervisor.down(world, ["api"])) == ["api"]
    assert supervisor.url(world, "api") is None


def test_the_api_answers_with_as_many_processes_as_are_set_and_a_group_alone_with_one(settings: Settings) -> None:
    def workers(name: str) -> str:
        command = supervisor._PROGRAMS[name].arguments(settings.model_copy(update={"api_workers": 3}), 8000)
        return command[command.index("--workers") + 1]

    assert {name: workers(name) for name in (supervisor.API, *api_services.BESIDE)} == {
        "api": "3", "architect": "1", "committer": "1", "executor": "1",
    }  # fmt: skip


def test_a_taken_default_port_gives_the_next_one(world: Settings) -> None:
    other = world.model_copy(update={"home": world.home.with_name("other")})
    first = up(world, "api").where
    try:
        assert up(other, "api").where != first
    finally:
        list(supervisor.down(other, ["api"]))


def test_the_api_is_split_into_a_server_for_each_group_until_it_is_stopped(world: Settings) -> None:
    up(world, "api")
    joined = processes.read_record(world.run, "api")
    assert (api_services.address(world, "executor"), len(supervisor.status(world))) == (
        api_services.address(world, "billing"),
        len(supervisor.NAMES),
    )
    started = {one.name: one for one in supervisor.up(world, ["api"], split=True)}
    assert list(started) == ["api", "architect", "committer", "executor"]
    assert joined is not None
    assert not processes.alive(joined), "it served the groups that others serve now"
    assert len({one.where for one in started.values()}) == 4
    groups = {group: api_services.address(world, group) for group in ("billing", "architect", "committer", "executor")}
    assert list(groups.values()) == [one.where for one in started.values()]
    shown = {one.name: one.detail for one in supervisor.status(world)}
    assert [shown[name].partition(", ")[2] for name in started] == [f"serves {group}" for group in groups]
    answers = {finding.what for finding in diagnosis.examine(world)}
    assert {f"{name} answers" for name in started} <= answers

    record = processes.read_record(world.run, "executor")
    assert record is not None
    processes.stop(record, signal.SIGKILL, 300)
    assert api_services.address(world, "executor") is None
    assert supervisor.status(world)[-1].state == "crashed"
    again = {one.name: one.detail for one in supervisor.up(world, ["api"])}
    assert again == dict.fromkeys(("api", "architect", "committer"), "already") | {"executor": ""}
    assert [name for name in supervisor.down(world) if name in started] == list(reversed(started))
    assert [one.name for one in supervisor.up(world, ["api"])] == ["api"]
    assert api_services.address(world, "executor") == supervisor.url(world, "api")


def test_only_the_api_is_split(world: Settings) -> None:
    with pytest.raises(RefusalError, match="--split is of the server api"):
        list(supervisor.up(world, ["valkey"], split=True))


def test_a_crashed_program_is_reported_with_its_last_output_and_started_again(world: Settings) -> None:
    up(world, "api")
    record = processes.read_record(world.run, "api")
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    processes.wait_until(lambda: not processes.alive(record), lambda: True, 300)
    assert supervisor.status(world)[-1].state == "crashed"
    assert up(world, "api").detail == ""


def test_a_program_that_hangs_is_reported(world: Settings) -> None:
    up(world, "api")
    record = processes.read_record(world.run, "api")
    assert record is not None
    details = {**record.details, "port": "1"}
    processes.write_record(world.run, processes.Record("api", record.pid, record.started, record.log, details))
    assert supervisor.status(world)[-1].state == "not answering"


def test_a_program_that_ends_at_once_says_why(world: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = supervisor._Program(lambda *_: ["http.server", "--no-such-option"], "api_port", "/")
    monkeypatch.setitem(supervisor._PROGRAMS, supervisor.API, broken)
    with pytest.raises(RefusalError, match="unrecognized arguments") as caught:
        up(world, "api")
    assert caught.value.code == "server_did_not_start"
    assert "valueverse logs api" in caught.value.message


def test_stopping_takes_along_what_the_process_started(tmp_path: Path) -> None:
    # The parent dies on its signal without signalling its child, as a killed code server's workers would stay.
    sleeper = "import time; time.sleep(900)"
    code = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {sleeper!r}]); {sleeper}"
    record = processes.spawn("p", processes.Launch([sys.executable, "-c", code]), tmp_path / "p.log", {})
    parent = psutil.Process(record.pid)
    assert processes.wait_until(lambda: bool(parent.children()), lambda: True, 300)
    child = parent.children()[0]
    assert processes.stop(record, signal.SIGTERM, 300)
    assert processes.wait_until(
        lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, lambda: True, 300
    )


def test_a_process_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True); time.sleep(900)"
    )
    record = processes.spawn("p", processes.Launch([sys.executable, "-c", code]), tmp_path / "p.log", {})
    assert processes.wait_until(lambda: "deaf" in processes.tail(tmp_path / "p.log", 5), lambda: True, 300)
    assert not processes.stop(record, signal.SIGTERM, 0.2)
    assert not processes.alive(record)


@pytest.fixture(scope="module")
def installation() -> Iterator[Settings]:
    """Servers of its own with Dagster's web server and daemon, whose one code location is broken."""
    folder = shared_servers.private_folder()
    (folder / "workspace.yaml").write_text("load_from: [{python_module: no_such_module}]")
    settings = Settings(home=folder / "home", postgres_port=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supervisor, "project", lambda: folder)
        try:
            list(supervisor.up(settings, ("postgres", "dagster", "dagster-daemon")))
            yield settings
        finally:
            list(supervisor.down(settings))
            shutil.rmtree(settings.sockets, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)


def test_the_reason_why_dagster_did_not_load_is_reported(installation: Settings) -> None:
    assert "no_such_module" in (supervisor.code_location_error(installation) or "")
    found = {finding.what: finding.level for finding in diagnosis.examine(installation)}
    assert any("no_such_module" in what and level == "wrong" for what, level in found.items())


def test_the_api_gets_its_own_login_alone(settings: Settings) -> None:
    environment = api_services.environment(settings, "billing")
    assert "valueverse_api:" in environment["VALUEVERSE_POSTGRES_URL"]
    assert not any("valueverse_admin" in value or "valueverse_builder" in value for value in environment.values())


def test_what_a_killed_daemon_left_behind_is_ended_before_the_next_one(installation: Settings) -> None:
    left = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(900)", "grpc"],
        env={**os.environ, "DAGSTER_HOME": str(installation.dagster_home)},
    )
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(900)", "grpc"])
    try:
        dagster_home.end_stray_code_servers(installation)
        assert left.wait(10) == -signal.SIGKILL
        assert other.poll() is None
        assert supervisor.status(installation)[2].state == "running"
    finally:
        for process in (left, other):
            process.kill()
            process.wait()


def test_a_run_that_died_with_the_servers_is_failed_and_another_commands_run_is_not(
    installation: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dagster as dg

    for name, value in dagster_home.environment(installation).items():
        monkeypatch.setenv(name, value)
    ids = {
        "launched": "00000000-0000-4000-8000-000000000001",
        "carried": "00000000-0000-4000-8000-000000000002",
    }
    with dg.DagsterInstance.get() as instance:
        for name, run_id in ids.items():
            tags = {".dagster/grpc_info": "{}"} if name == "launched" else {}
            instance.add_run(dg.DagsterRun("job", run_id=run_id, status=dg.DagsterRunStatus.STARTED, tags=tags))
        assert dagster_home.end_orphaned_runs() == [ids["launched"]]
        states = {name: instance.get_run_by_id(run_id) for name, run_id in ids.items()}
    assert {name: run.status.value for name, run in states.items() if run} == {
        "launched": "FAILURE",
        "carried": "STARTED",
    }


def test_results_of_stages_are_read_from_dagsters_own_tables(installation: Settings) -> None:
    warehouse.upgrade(installation)
    with warehouse.connect(installation, "builder", database=installation.dagster_database) as connection:
        for number, (status, job) in enumerate([("SUCCESS", "value_job"), ("FAILURE", "value_job")]):
            connection.execute(
                "insert into runs (run_id, pipeline_name, status, start_time, end_time) values (%s, %s, %s, %s, %s)",
                [f"run {number}", job, status, 1000 + 100 * number, 1010 + 100 * number],
            )
    families = InstallationMetrics(installation, make_log()).collect()
    found = {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}
    assert found["valueverse_stage_runs_total", "value", "success"] == 1
    assert found["valueverse_stage_last_run_timestamp_seconds", "value", "failure"] == 1110
    assert found["valueverse_stage_failed", "value"] == 1
    assert found["valueverse_stage_last_run_duration_seconds", "value"] == 10
    assert 0 <= found["valueverse_dagster_heartbeat_seconds", "sensor"] < 600
    assert found["valueverse_database_readable", "dagster"] == 1
