"""``python -m bench.budget``: processor time of a read of an invoice, stage by stage, as docs/performance.md shows it.

The application runs in this process, without a server before it: what Granian adds is measured by the bare reply of the
row ``serve hot``. Times are of the processor, not of the clock, so that what else the machine does counts little.
"""

from __future__ import annotations

import asyncio
import io
import time
from typing import TYPE_CHECKING, Any

from bench.served_world import served
from serving_api import metrics
from serving_api.answer_headers import VERSION, request_id
from serving_api.app import create_app
from serving_api.invoice_reads import PATH
from serving_api.request_log import RequestLog
from serving_api.security.rate_limits import bucket_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fastapi import FastAPI
    from starlette.types import Message, Scope

    from bench.served_world import ServedWorld

ASKED = 200
ROUNDS = 7


def main() -> None:
    """Print microseconds of each stage."""
    with served() as world:
        for stage, microseconds in asyncio.run(_measured(world)):
            print(f"{stage}: {microseconds:.1f} us")


async def _measured(world: ServedWorld) -> list[tuple[str, float]]:
    app = create_app(world.settings, request_log=RequestLog(io.BytesIO()), requests_a_minute=1_000_000)
    service = app.state.service
    async with app.router.lifespan_context(app):
        await asyncio.sleep(2)
        scopes = [_scope(app, line) for line in world.requests.read_text().split("\n")[:ASKED]]
        usual = [scope | {"headers": [*scope["headers"], (b"api-version", VERSION.encode())]} for scope in scopes]
        for _ in range(3):
            await _ask(app, scopes)
        parts = [(name, _microseconds(stage)) for name, stage in _stages(app, scopes[0]).items()]
        return [
            *parts,
            ("whole, the answer at hand", await _asking(app, scopes, lambda: None)),
            (f"whole, read from Postgres together with {ASKED - 1} others", await _together(app, scopes)),
            ("whole, by the usual way", await _asking(app, usual, lambda: None)),
            ("the same, and the token is verified", await _asking(app, usual, service.tokens._seen.clear)),
        ]


def _stages(app: FastAPI, scope: Scope) -> dict[str, Callable[[], object]]:
    service = app.state.service
    read = service.reads.find(scope)
    bucket = bucket_of(read.identity.owner)
    token = next(value for name, value in scope["headers"] if name == b"authorization")[7:].decode()
    key = (*read.identity.owner, PATH, read.number)
    return {
        "request: headers and token": lambda: service.reads.find(scope),
        "of it, token": lambda: service.tokens.known(token),
        "answer": lambda: service.answers.take(key),
        "limit by a lease": lambda: service.limiter.take(bucket),
        "id of the request": lambda: request_id(None),
        "counters": lambda: metrics.count_request("GET", PATH, 200, 0.001),
        "line of the log": lambda: service.request_log.add("GET", PATH, 200, "acme", 0.001, {"request_id": "x"}),
    }


def _microseconds(stage: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        for _ in range(ASKED * 5):
            stage()
        times.append(time.process_time() - began)
    return min(times) / (ASKED * 5) * 1e6


async def _asking(app: FastAPI, scopes: Sequence[Scope], before: Callable[[], None]) -> float:
    times = []
    for _ in range(ROUNDS):
        before()
        began = time.process_time()
        await _ask(app, scopes)
        times.append(time.process_time() - began)
    return min(times) / len(scopes) * 1e6


async def _together(app: FastAPI, scopes: Sequence[Scope]) -> float:
    times = []
    for _ in range(ROUNDS):
        app.state.service.answers.clear()
        began = time.process_time()
        await asyncio.gather(*(_ask(app, [scope]) for scope in scopes))
        times.append(time.process_time() - began)
    return min(times) / len(scopes) * 1e6


async def _ask(app: FastAPI, scopes: Sequence[Scope]) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message.get("status", 200) != 200:
            raise SystemExit(f"budget: answered with {message['status']}")

    for scope in scopes:
        await app(dict(scope), receive, send)


def _scope(app: FastAPI, line: str) -> dict[str, Any]:
    path, token = line.split(" ")
    return {
        "type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"authorization", f"Bearer {token}".encode())], "scheme": "http",
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 1), "http_version": "1.1", "app": app,
    }  # fmt: skip


if __name__ == "__main__":
    main()
