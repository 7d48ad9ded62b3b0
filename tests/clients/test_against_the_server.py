"""Clients against the running server: what they read, and what they send while everything is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.inbox import receive
from tests.support.landing import Harbour, founding
from tests.support.node import NODE, ROOT, installed, run_node, run_package
from tests.support.serving_process import start, wait_until_ready
from valueverse.services.ingestion.run_ingestion import run_ingestion
from valueverse.services.usage.refresh_facts import BEGINNING
from valueverse_client import Client, Sender, problems

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.serving_process import Server
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

COUNT = 100_000
TYPESCRIPT = ROOT / "clients" / "typescript"
PROGRAMS = ROOT / "tests" / "clients"
SOURCES = {
    "python": [sys.executable, str(PROGRAMS / "sending.py")],
    "typescript": [str(NODE), str(PROGRAMS / "typescript" / "sending.mts")],
}


@dataclass
class Program:
    """A program that sends, and what it says it has taken."""

    process: subprocess.Popen[str]
    taken: list[str] = field(default_factory=list)

    def take(self, more: int) -> None:
        """Wait until it has taken so many more events."""
        assert self.process.stdout is not None
        for _ in range(more):
            self.taken.append(self.process.stdout.readline().strip())

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        left, _ = self.process.communicate()
        self.taken += left.split()  # whole lines, written before it was killed


def sending(server: Server, source: str, spool: Path, count: int) -> Program:
    command = [*SOURCES[source], server.address, server.keys["acme"], str(spool), source, str(count)]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "clients" / "python" / "src")}
    return Program(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment))


def test_nothing_is_lost_or_doubled_whatever_is_killed_while_events_are_sent(
    server: Server, module_settings: Settings, tmp_path: Path
) -> None:
    installed(TYPESCRIPT)
    receive(module_settings, "acme", founding())
    programs = {source: sending(server, source, tmp_path / source, COUNT) for source in SOURCES}
    for program in programs.values():
        program.take(50)
    kill_all(server.process)
    for program in programs.values():
        program.take(500)  # more than a pipe and its reader hold: the last are on disk alone
        program.kill()
    server.process = start(module_settings, server.log, server.port)
    wait_until_ready(server)
    again = {source: sending(server, source, tmp_path / source, 0) for source in SOURCES}
    for program in again.values():
        output, _ = program.process.communicate(timeout=120)
        assert output == "sent\n"
    lake = module_settings.model_copy(update={"external_lake_url": str(tmp_path / "lake")})
    harbour = Harbour(tmp_path)
    run_ingestion(lake, harbour.lake, BEGINNING, datetime.now(UTC))
    stored = harbour.events()
    for source, program in programs.items():
        ids = stored.filter(source=source)["id"].to_list()
        assert len(ids) == len(set(ids))
        assert set(program.taken) <= set(ids)
        assert len(ids) <= len(program.taken) + 1  # the last was on disk, and killed before it was printed
        assert len(program.taken) >= 100


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """The server with its workers, at once."""
    for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
        one.kill()
    process.wait()


def test_the_python_client_reads_writes_and_follows_an_event(server: Server, tmp_path: Path) -> None:
    with Client(server.keys["acme"], server.address) as client:
        assert client.get_me()["tenant"] == "acme"
        listed = list(client.iterate_invoices(limit=1))
        assert len(listed) == len(client.get_invoices()["data"]) > 1
        number = next(one["number"] for one in listed if one["number"])
        assert number is not None
        assert client.get_invoice(number)["number"] == number
        with pytest.raises(problems.NotFoundError):
            client.get_invoice("birch-000001")
        with pytest.raises(problems.InvalidRequestError) as refused:
            client.post_customers({"customer": "c-2", "currency": "euro"})
        assert [place.path for place in refused.value.places] == ["body.currency"]
        with Sender(server.keys["acme"], server.address, spool=tmp_path / "spool", source="a/b c") as sender:
            name = sender.add({"type": "call", "subject": "c-1", "data": {"n": 1}})
            sender.flush(60)
        assert client.get_event("a/b c", name)["outcome"] == "waiting"


def test_the_quick_start_of_the_readme_runs(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (ROOT / "clients" / "python" / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 5
    monkeypatch.chdir(tmp_path)
    exec(code, {"KEY": server.keys["acme"], "ADDRESS": server.address})
    assert "('acme-000001', '71.12')" in capsys.readouterr().out


def test_the_typescript_client_does_too(server: Server, tmp_path: Path) -> None:
    program = PROGRAMS / "typescript" / "against_the_server.mts"
    spool = tmp_path / "spool"
    printed = run_node(program, server.address, server.keys["acme"], spool, folder=installed(TYPESCRIPT))
    assert printed == "all of it\n"


def test_the_quick_start_of_the_typescript_readme_runs_on_the_compiled_package(server: Server, tmp_path: Path) -> None:
    readme = (TYPESCRIPT / "README.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```ts\n(.*?)```", readme, re.DOTALL)
    assert len(code.splitlines()) == 5
    run_package("tsc", "--project", "tsconfig.json", "--noCheck", folder=TYPESCRIPT)
    values = f"const KEY = {server.keys['acme']!r}, ADDRESS = {server.address!r};\n"
    program = TYPESCRIPT / "dist" / "quick_start.mjs"
    program.write_text(values + code.replace("usage.spool", str(tmp_path / "spool")), encoding="utf-8")
    assert "acme-000001 71.12" in run_node(program, folder=tmp_path)
    program.unlink()
