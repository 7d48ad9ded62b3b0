"""Connections on which nothing comes: they shut nobody out, and end."""

from __future__ import annotations

import resource
import selectors
import socket
import subprocess
import sys
import time

import httpx
import pytest

from tests.support.serving_process import free_port
from valueverse.platform.servers import api_services
from valueverse.platform.servers.processes import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.security]
SILENT = 1_400
"""More than the server's own default takes, whatever the number of its processes."""


def test_connections_that_send_nothing_shut_nobody_out_and_are_closed() -> None:
    silent = min(SILENT, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 200)
    port = free_port()
    # The server's own part is what is tested: any app will do. The last of two statements counts.
    *stated, _ = api_services.arguments(port, 1)
    shorter = ("--http1-header-read-timeout", "1500", "--factory", "starlette.applications:Starlette")
    server = subprocess.Popen([sys.executable, "-m", *stated, *shorter])
    connections: list[socket.socket] = []
    try:
        assert wait_until(lambda: _answers(port), lambda: True, 30)
        connections = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(silent)]
        begun = time.monotonic()
        assert httpx.get(f"http://127.0.0.1:{port}/", timeout=5).status_code == 404
        assert time.monotonic() - begun < 2
        with selectors.DefaultSelector() as ended:
            for one in connections:
                ended.register(one, selectors.EVENT_READ)
            until = time.monotonic() + 10
            while ended.get_map() and time.monotonic() < until:
                for key, _ in ended.select(1):
                    assert key.fileobj.recv(1) == b""
                    ended.unregister(key.fileobj)
            assert not ended.get_map()
    finally:
        for one in connections:
            one.close()
        server.terminate()
        server.wait(20)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
