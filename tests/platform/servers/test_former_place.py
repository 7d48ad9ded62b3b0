"""A folder that was moved, or copied, while its servers ran: they are started again here, and never shared."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.support import shared_servers
from valueverse.errors import RefusalError
from valueverse.platform.servers import (
    diagnosis,
    postgres_runtime,
    postgres_server,
    processes,
    supervisor,
    valkey_server,
)
from valueverse.platform.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOTH = ("postgres", "valkey")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A closed folder; whatever still runs in a home below it is stopped."""
    found = shared_servers.private_folder()
    yield found
    for record in found.glob("*/run/*.json"):
        if json.loads(record.read_text())["pid"] == os.getpid():
            record.unlink()
    for home in found.iterdir():
        settings = Settings(home=home, postgres_port=0)
        list(supervisor.down(settings))
        shutil.rmtree(settings.sockets, ignore_errors=True)
    shutil.rmtree(found, ignore_errors=True)


def own_process(home: Path, name: str, **details: str) -> processes.Record:
    """A record of this very process, as if it were a server that was started in ``home``."""
    started = processes.start_time(os.getpid())
    assert started is not None
    record = processes.Record(name, os.getpid(), started, str(home / "logs" / f"{name}.log"), details)
    processes.write_record(home / "run", record)
    return record


@pytest.mark.integration
def test_servers_of_a_folder_that_was_moved_are_started_again_with_all_they_held(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor.warehouse, "upgrade", lambda _: None)
    former = Settings(home=folder / "a", postgres_port=0)
    for server in (postgres_server, valkey_server):
        server.start(former, durable=False)
    with psycopg.connect(former.postgres_url("admin", "postgres"), autocommit=True) as connection:
        connection.execute("create table stored as select 1 as one")
    before = [processes.read_record(former.run, name) for name in BOTH]
    former.home.rename(folder / "b")
    moved = Settings(home=folder / "b", postgres_port=0)
    states = supervisor.status(moved)[:2]
    assert [one.state for one in states] == ["not answering"] * 2
    assert all(f"it runs for {former.home}, from where" in one.detail for one in states)
    assert any("`valueverse up` starts it again here" in one.cure for one in diagnosis.examine(moved))
    started = list(supervisor.up(moved, ["valkey"]))
    assert [(one.name, one.detail.startswith("started again here")) for one in started] == [(one, True) for one in BOTH]
    assert not any(map(processes.alive, before))
    assert not former.sockets.exists()
    assert not former.home.exists()
    log = (moved.logs / "postgres.log").read_text()
    assert ("database system was shut down" in log, "PANIC" in log) == (True, False)
    with psycopg.connect(moved.postgres_url("admin", "postgres")) as connection:
        assert connection.execute("select one from stored").fetchone() == (1,)
    assert valkey_server.answers(moved)
    assert [one.detail for one in supervisor.up(moved, BOTH)] == [supervisor.ALREADY] * 2


@pytest.mark.integration
@pytest.mark.parametrize("taken", [False, True], ids=["the place is free", "another folder is there"])
def test_a_server_whose_record_was_lost_is_ended_before_another_works_in_its_data(folder: Path, *, taken: bool) -> None:
    former = Settings(home=folder / "a", postgres_port=0)
    before = postgres_server.start(former)
    with psycopg.connect(former.postgres_url("admin", "postgres"), autocommit=True) as connection:
        connection.execute("create table stored as select 1 as one")
    former.home.rename(folder / "b")
    other = former.home / "postgres" / "data" / "global"
    if taken:
        other.mkdir(parents=True)
    moved = Settings(home=folder / "b", postgres_port=0)
    processes.forget(moved.run, "postgres")
    assert postgres_server.start(moved, durable=False).pid != before.pid
    assert not processes.alive(before)
    assert list(other.iterdir() if taken else ()) == []
    with psycopg.connect(moved.postgres_url("admin", "postgres")) as connection:
        assert connection.execute("select one from stored").fetchone() == (1,)


def test_a_copy_of_a_folder_whose_servers_run_uses_and_stops_none_of_them(folder: Path) -> None:
    own_process(folder / "a", "postgres", sockets=str(folder / "sockets"), port="1", data=str(folder / "a" / "data"))
    shutil.copytree(folder / "a", folder / "b")
    copy = Settings(home=folder / "b", postgres_port=0)
    assert processes.read_record(copy.run, "postgres") is None
    assert str(folder / "sockets") not in copy.postgres_url("admin")
    assert list(supervisor.down(copy)) == []
    assert supervisor.status(copy)[0].state == "stopped"
    with pytest.raises(RefusalError, match=f"was copied from {folder / 'a'} while servers ran there") as refused:
        next(supervisor.up(copy, BOTH))
    assert refused.value.code == "copied_while_running"


def test_another_path_to_the_folder_is_the_same_place(folder: Path) -> None:
    record = own_process(folder / "a", "valkey", socket=str(folder / "valkey.sock"))
    (folder / "link").symlink_to("a")
    linked = Settings(home=folder / "link", postgres_port=0)
    assert processes.read_record(linked.run, "valkey") == record
    assert processes.former_home(linked.run, record) is None
    assert str(folder / "valkey.sock") in linked.redis_url


def test_a_database_that_was_moved_to_another_disk_while_it_ran_is_not_taken_for_whole(folder: Path) -> None:
    gone = folder / "gone"
    record = own_process(gone, "postgres", sockets=str(gone), port="1", data=str(gone / "postgres" / "data"))
    shutil.move(gone, folder / "here")
    here = Settings(home=folder / "here", postgres_port=0)
    with pytest.raises(RefusalError, match="`valueverse down` stops them, then `valueverse up` goes on") as refused:
        next(supervisor.up(here, BOTH))
    assert refused.value.code == "moved_while_running"
    assert processes.alive(record), "nothing was stopped"


def test_data_outside_of_a_folder_that_was_moved_is_renamed_with_it_and_is_not_shared_with_a_copy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_runtime, "_copy_place", lambda settings: folder / f"data-of-{settings.home.name}")
    (folder / "data-of-a" / "postgres" / "data").mkdir(parents=True)
    (folder / "a" / "postgres").mkdir(parents=True)
    (folder / "a" / postgres_runtime._NOTE).write_text(f"{folder / 'data-of-a'}\n{folder / 'a'}\n")
    shutil.copytree(folder / "a", folder / "copy")
    with pytest.raises(RefusalError, match="is a copy of") as refused:
        postgres_runtime._bring_copy_along(Settings(home=folder / "copy"))
    assert refused.value.code == "copied_without_data"
    (folder / "a").rename(folder / "b")
    postgres_runtime._bring_copy_along(Settings(home=folder / "b"))
    assert (folder / "data-of-b" / "postgres" / "data").is_dir()
    assert not (folder / "data-of-a").exists()
