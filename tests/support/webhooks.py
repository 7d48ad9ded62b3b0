"""Endpoints of webhooks that tests receive at, and deliveries to them."""

from __future__ import annotations

import io
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from valueverse.platform.telemetry.logs import make_log
from valueverse.platform.warehouse import connect
from valueverse.services.webhooks.deliver_webhooks import Deliverer

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


async def deliver(world: Settings, **options: Any) -> list[dict[str, Any]]:
    """One look and its attempts; what was logged."""
    sink = io.BytesIO()
    one = Deliverer(world, make_log(sink), **options)
    await one.look()
    await one.drain()
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def make_due(world: Settings) -> None:
    """What waits is due now."""
    with connect(world, "builder") as connection:
        connection.execute("update billing.webhook_delivery set due_at = now() where state = 'waiting'")
