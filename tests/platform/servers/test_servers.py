"""The embedded servers start, stop and report what is wrong: as root below a closed folder and as an ordinary
user."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg
import pytest
import redis
import typer
from typer.testing import CliRunner

from tests.support import shared_servers
from valueverse.commands.servers import servers as commands
from valueverse.commands.servers import status
from valueverse.errors import RefusalError
from valueverse.platform.servers import postgres_runtime, postgres_server, processes, supervisor, valkey_server
from valueverse.platform.settings import Settings, get_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]
BOTH = ("postgres", "valkey")


@pytest.fixture
def home() -> Iterator[Path]:
    """A home below a folder that nobody else enters; whatever still runs in it is stopped."""
    folder = shared_servers.private_folder()
    assert folder.stat().st_mode & 0o777 == 0o700
    yield folder / "home"
    settings = Settings(home=folder / "home", postgres_port=0)
    list(supervisor.down(settings))
    shutil.rmtree(settings.sockets, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def local(home: Path) -> Settings:
    return Settings(home=home, postgres_port=0)


def test_servers_start_answer_and_stop_below_a_closed_folder(local: Settings) -> None:
    record = postgres_server.start(local, durable=False)
    valkey_server.start(local, durable=False)
    with psycopg.connect(local.postgres_url("admin", "postgres")) as connection:
        assert connection.execute("show server_version_num").fetchone() >= ("180000",)  # type: ignore[operator]
        assert connection.execute("select datlocprovider::text from pg_database limit 1").fetchone() == ("b",)
    with redis.Redis.from_url(local.redis_url) as client:
        assert client.set("key", "value")
    assert psutil.Process(record.pid).is_running()
    assert (postgres_server.stop(local), valkey_server.stop(local)) == (True, True)
    assert not processes.alive(record)
    assert (postgres_server.stop(local), valkey_server.stop(local)) == (False, False)


def test_a_second_start_leaves_the_running_server_alone(local: Settings) -> None:
    first = postgres_server.start(local, durable=False)
    assert postgres_server.start(local, durable=False) == first


def test_passwords_are_needed_on_the_socket_too(local: Settings) -> None:
    postgres_server.start(local, durable=False)
    valkey_server.start(local, durable=False)
    wrong = local.postgres_url("admin", "postgres").replace(":", ":x", 2).replace(":x//", "://")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)
    with (
        redis.Redis(unix_socket_path=str(local.sockets / "valkey.sock")) as client,
        pytest.raises(redis.AuthenticationError),
    ):
        client.ping()


def test_nobody_else_may_enter_what_holds_secrets(local: Settings) -> None:
    postgres_server.start(local, durable=False)
    for folder in (local.secrets_dir, local.sockets, local.home / "postgres" / "data", local.run):
        assert folder.stat().st_mode & 0o077 == 0, folder


def test_a_reused_pid_is_not_taken_for_the_server(local: Settings) -> None:
    record = postgres_server.start(local, durable=False)
    postgres_server.stop(local)
    stale = processes.Record("postgres", os.getpid(), record.started, record.log, record.details)
    processes.write_record(local.run, stale)
    (local.home / "postgres" / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n/nowhere\n1\n5432\n/nowhere\n")
    assert postgres_server.start(local, durable=False).pid != os.getpid()


def test_a_killed_server_is_reported_and_started_again(local: Settings) -> None:
    record = postgres_server.start(local)
    with psycopg.connect(local.postgres_url("admin", "postgres"), autocommit=True) as connection:
        connection.execute("create table kept as select 1 as one")
        # A server of data that are to stay guards its passwords as usual; those of tests are quick to check.
        assert connection.execute("show scram_iterations").fetchone() == ("4096",)
    os.kill(record.pid, signal.SIGKILL)
    processes.wait_until(lambda: not processes.alive(record), lambda: True, 300)
    crashed = supervisor.status(local)[0]
    assert (crashed.name, crashed.state) == ("postgres", "crashed")
    assert "valueverse up" in crashed.detail
    postgres_server.start(local, durable=False)
    with psycopg.connect(local.postgres_url("admin", "postgres")) as connection:
        assert connection.execute("select * from kept").fetchone() == (1,)


def test_a_running_server_whose_record_was_lost_is_found(local: Settings) -> None:
    record = postgres_server.start(local, durable=False)
    processes.forget(local.run, "postgres")
    assert postgres_server.start(local, durable=False).pid == record.pid


def test_a_half_made_data_folder_is_made_again(local: Settings) -> None:
    torn = local.home / "postgres" / "data.new"
    torn.mkdir(parents=True)
    (torn / "PG_VERSION").write_text("18")
    postgres_server.start(local, durable=False)
    assert not torn.exists()


def test_data_of_another_version_is_refused_with_the_cure(local: Settings) -> None:
    data = local.home / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(RefusalError, match="made by PostgreSQL 17") as caught:
        postgres_server.start(local)
    assert caught.value.code == "data_of_another_version"


def test_a_server_that_cannot_start_reports_its_last_output(local: Settings) -> None:
    postgres_server.start(local, durable=False)
    postgres_server.stop(local)
    (local.home / "postgres" / "data" / "postgresql.auto.conf").write_text("shared_buffers = nonsense\n")
    with pytest.raises(RefusalError, match="invalid value for parameter") as caught:
        postgres_server.start(local, durable=False)
    assert caught.value.code == "postgres_did_not_start"


def test_a_home_that_cannot_be_made_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RefusalError, match="VALUEVERSE_HOME"):
        postgres_server.start(Settings(home=tmp_path / "file" / "home"))


def test_a_torn_record_counts_as_none(local: Settings) -> None:
    local.run.mkdir(parents=True)
    (local.run / "postgres.json").write_text('{"name": "postg')
    assert supervisor.status(local)[0].state == "stopped"


def test_a_socket_folder_of_somebody_else_is_refused(local: Settings) -> None:
    local.sockets.mkdir()
    local.sockets.chmod(0o777)
    with pytest.raises(RefusalError, match="remove it"):
        postgres_runtime.private_folder(local.sockets, None)


def taken_port() -> tuple[socket.socket, int]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener, listener.getsockname()[1]


def test_a_chosen_port_that_is_taken_names_its_holder_and_the_variable(home: Path) -> None:
    listener, port = taken_port()
    with listener, pytest.raises(RefusalError, match="VALUEVERSE_POSTGRES_PORT") as caught:
        postgres_server.start(Settings(home=home, postgres_port=port))
    assert f"pid {os.getpid()}" in caught.value.message


def test_a_default_port_that_is_taken_gives_the_next_free_one() -> None:
    listener, port = taken_port()
    with listener:
        assert processes.free_port(port, "VALUEVERSE_API_PORT", chosen=False) > port


def test_a_lock_that_stays_held_is_reported(tmp_path: Path) -> None:
    with (
        processes.locked(tmp_path / "up.lock"),
        pytest.raises(RefusalError, match="another command"),
        processes.locked(tmp_path / "up.lock", 0.1),
    ):
        pass


def test_the_lock_of_a_killed_command_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from valueverse.platform.servers.processes import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(900)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "l")], stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"held\n"
        child.kill()
    with processes.locked(tmp_path / "l", 1):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may choose")
@pytest.mark.parametrize("way", ["user", "copy"])
def test_root_starts_postgres_by_each_of_its_other_ways(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    folder = Path(tempfile.mkdtemp())  # not below the run's own closed folder
    local = Settings(home=folder / "home", postgres_port=0)
    if way == "user":
        folder.chmod(0o755)
        if not postgres_runtime._reaches(postgres_runtime._unprivileged_user(), postgres_server.binary("postgres")):
            pytest.skip("this checkout lies below a closed folder")
    else:
        monkeypatch.setattr(postgres_runtime, "_NAMESPACE", ("false",))
        monkeypatch.setattr(postgres_runtime, "_passes", lambda *_: False)
    try:
        record = postgres_server.start(local, durable=False)
        assert psutil.Process(record.pid).uids().real == postgres_runtime._unprivileged_user()[0]
        assert postgres_server.answers(local)
        assert ("copy" in record.details["runs"]) == (way == "copy")
        if way == "copy":
            monkeypatch.undo()
            postgres_server.stop(local)
            again = postgres_server.start(local, durable=False)
            assert again.details["data"] == record.details["data"], "data must not be left behind by a new way"
    finally:
        record = processes.read_record(local.run, "postgres") or record
        postgres_server.stop(local)
        shutil.rmtree(folder)
        shutil.rmtree(local.sockets, ignore_errors=True)
        if way == "copy":
            shutil.rmtree(Path(record.details["data"]).parents[1])


ORDINARY = """
import sys, shutil
from valueverse.platform.servers import postgres_server as p
from valueverse.platform.servers import valkey_server as v
from valueverse.platform.settings import Settings
s = Settings(home=sys.argv[1], postgres_port=0)
print(p.start(s, durable=False).details["runs"], v.start(s, durable=False).name)
print(p.answers(s), v.answers(s), p.stop(s), v.stop(s))
shutil.rmtree(s.sockets)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user runs every other test of this file")
def test_an_ordinary_user_starts_and_stops_the_servers() -> None:
    folder = Path(tempfile.mkdtemp())  # not below the run's own closed folder
    command = [sys.executable, "-c", ORDINARY, str(folder / "home")]
    nobody = pwd.getpwnam("nobody")
    if postgres_runtime._reaches((nobody.pw_uid, nobody.pw_gid), Path(sys.executable)):
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
        command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]
    else:
        command = [*postgres_runtime._NAMESPACE, *command]  # the interpreter lies below a closed folder
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    shutil.rmtree(folder)
    assert (done.stdout, done.returncode) == ("as this user valkey\nTrue True True True\n", 0), done.stderr


@pytest.fixture
def cli(home: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setenv("VALUEVERSE_HOME", str(home))
    monkeypatch.setenv("VALUEVERSE_POSTGRES_PORT", "0")
    app = typer.Typer()
    commands.register(app)
    status.register(app)
    return app


def test_up_status_logs_and_down_print_what_they_did(cli: typer.Typer) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, arguments)
        return result.exit_code, result.output

    assert run("up", "--only", "postgres,valkey")[0] == 0
    code, printed = run("up", "--only", "postgres,valkey")
    assert (code, printed.count("runs already")) == (0, 2)
    code, printed = run("status")
    assert (code, printed.count("running"), printed.count("stopped")) == (0, 2, 5)
    assert "ready to accept connections" in run("logs", "postgres")[1]
    record = processes.read_record(get_settings().run, "valkey")
    assert record is not None
    os.kill(record.pid, signal.SIGKILL)
    processes.wait_until(lambda: not processes.alive(record), lambda: True, 300)
    code, printed = run("status")
    assert (code, "crashed" in printed) == (1, True)
    assert run("down") == (0, "postgres stopped\n")
    assert not get_settings().sockets.exists()
    assert run("down") == (0, "nothing was running\n")


def test_an_unknown_server_is_named(cli: typer.Typer) -> None:
    for arguments in (["up", "--only", "redis"], ["down", "--only", "redis"], ["logs", "redis"]):
        result = CliRunner().invoke(cli, arguments)
        assert isinstance(result.exception, RefusalError)
        assert result.exception.code == "unknown_server"


def test_servers_of_ones_own_are_not_started(settings: Settings) -> None:
    started = list(supervisor.up(settings, BOTH))
    assert [one.state for one in started] == ["external", "external"]
    assert [one.state for one in supervisor.status(settings)][:2] == ["external", "external"]
    gone = settings.model_copy(update={"external_redis_url": "redis://127.0.0.1:1"})
    assert supervisor.status(gone)[1].state == "not answering"


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VALUEVERSE_API_PORT", "eighty")
    with pytest.raises(RefusalError, match="VALUEVERSE_API_PORT='eighty'"):
        get_settings()


def test_an_external_address_is_used_with_each_roles_login(tmp_path: Path) -> None:
    given = "postgresql://root:pw@db.example:6432/warehouse?sslmode=verify-full"
    settings = Settings(home=tmp_path, external_postgres_url=given)
    assert settings.postgres_url("admin") == given
    assert settings.database_name == "warehouse"
    builder = psycopg.conninfo.conninfo_to_dict(settings.postgres_url("builder", "dagster"))
    assert builder["user"] == "valueverse_builder"
    assert builder["password"] == (tmp_path / "secrets" / "postgres_builder").read_text()
    assert (builder["host"], builder["port"], builder["dbname"], builder["sslmode"]) == (
        "db.example", "6432", "dagster", "verify-full"
    )  # fmt: skip


def test_a_long_home_still_gives_a_short_socket_path(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / ("x" * 120) / ("y" * 120))
    assert len(os.fsencode(settings.sockets / ".s.PGSQL.54320.lock")) < 104


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from valueverse.platform.access.secrets import secret

    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: secret(tmp_path / "s", "one"), range(32)))
    assert len(found) == 1
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["one"]
    assert (tmp_path / "s" / "one").stat().st_mode & 0o777 == 0o600


def test_records_survive_as_json(tmp_path: Path) -> None:
    record = processes.Record("n", 1, 2.5, "log", {"port": "3"})
    processes.write_record(tmp_path, record)
    assert processes.read_record(tmp_path, "n") == record
    assert json.loads((tmp_path / "n.json").read_text())["pid"] == 1
