"""The API as a server process of a test."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tests.support.serving import bearer
from valueverse.platform.servers import api_services

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings


@dataclass
class Server:
    """A running server process."""

    process: subprocess.Popen[bytes]
    address: str
    port: int
    log: Path
    keys: dict[str, str]

    def sign_in(self, tenant: str) -> dict[str, str]:
        answer = httpx.post(f"{self.address}/v1/sessions", headers=bearer(self.keys[tenant]), timeout=60)
        assert answer.status_code == 200, answer.text
        return bearer(answer.json()["access_token"])


def start(settings: Settings, log: Path, port: int, workers: int = 1) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", *api_services.arguments(port, workers)]
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=os.environ | api_services.environment(settings, "") | api_services.counts(settings, api_services.API),
            cwd=Path(__file__).parents[2],
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(settings: Settings, keys: dict[str, str], log: Path, workers: int = 1) -> Iterator[Server]:
    """A server that answers; it is stopped unless the test has done so."""
    port = free_port()
    server = Server(start(settings, log, port, workers), f"http://127.0.0.1:{port}", port, log, keys)
    try:
        wait_until_ready(server)
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
            server.process.wait(20)


def wait_until_ready(server: Server) -> None:
    """Until it answers."""
    deadline = time.monotonic() + 600
    while True:
        try:
            if httpx.get(f"{server.address}/readyz", timeout=60).status_code == 200:
                return
        except httpx.TransportError:
            pass
        assert server.process.poll() is None, server.log.read_text()
        assert time.monotonic() < deadline, server.log.read_text()
        time.sleep(0.1)
