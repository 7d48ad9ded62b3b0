"""Endpoints of webhooks that tests receive at, and deliveries to them."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from tests.support.background import jobs_done
from valueverse.platform.warehouse import connect
from valueverse.services.webhooks import jobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings


@dataclass
class Receiver:
    """An endpoint of a tenant: what it received, and how it answers."""

    url: str
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)


@contextmanager
def receiving(*statuses: int, hangs: bool = False) -> Iterator[Receiver]:
    """A server that answers with these statuses, then 204; with ``hangs`` not before its gate is set."""
    receiver = Receiver("", statuses=list(statuses))
    if not hangs:
        receiver.gate.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            receiver.gate.wait(60)
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.url = f"http://127.0.0.1:{server.server_port}/hooks"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield receiver
    receiver.gate.set()
    server.shutdown()
    thread.join()
    server.server_close()


async def deliver(world: Settings) -> list[dict[str, Any]]:
    """The attempts that are due; what was logged."""
    return await jobs_done(world, jobs.KINDS, jobs.QUEUE)


def make_due(world: Settings) -> None:
    """What waits is due now, and its job with it."""
    with connect(world, "builder") as connection:
        connection.execute("update billing.webhook_delivery set due_at = clock_timestamp() where state = 'waiting'")
