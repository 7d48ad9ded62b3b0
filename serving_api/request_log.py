"""A line about each answered request, as one JSON object on standard output, written beside the event loop.

Lines are gathered for a moment and handed to a thread. What it cannot write in time waits up to a bound; lines beyond
it are counted and the log says how many there were: none is missing in silence. What the rest of the API logs is
written at once (``valueverse.platform.telemetry.logs``).
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from functools import lru_cache
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from serving_api.metrics import LINES_DROPPED
from valueverse.platform.telemetry.logs import scrub

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z
_AT_MOST = 8 * 2**20
"""Bytes of lines that wait for whoever reads standard output."""
_TOGETHER = 64 * 2**10
"""Bytes that are handed on before their moment is over."""


class RequestLog:
    """Writes lines to ``sink``; standard output if left out.

    Args:
        sink: written to by one thread alone.
        seconds: for how long lines are gathered; 0: each is written where it arises.
        at_most: bytes that may wait.
    """

    def __init__(self, sink: BinaryIO | None = None, seconds: float = 0.05, at_most: int = _AT_MOST) -> None:
        self._sink = sink or sys.stdout.buffer
        self._seconds = seconds
        self._at_most = at_most
        self._lines: list[bytes] = []
        self._gathered = 0
        self._dropped = 0
        self._flushing: asyncio.TimerHandle | None = None
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._handed = self._written = 0
        self._writer: Thread | None = None

    def add(
        self, method: str, route: str | None, status: int, tenant: str | None, seconds: float, ids: Mapping[str, Any]
    ) -> None:
        """The line of one request.

        Args:
            method: one of HTTP's.
            route: the template of its address; None: it has none.
            status: of the answer; 0: the connection ended before.
            tenant: who asked.
            seconds: what it took.
            ids: request_id, and those of its trace.
        """
        line = {
            "method": method,
            "route": route,
            "status": status,
            "tenant": tenant and _shown(tenant),
            "milliseconds": round(seconds * 1000, 2),
            "event": "request",
            **ids,
            "level": "info",
            "time": datetime.now(UTC),
        }
        self._append(orjson.dumps(line, option=_OPTIONS))

    def _append(self, line: bytes) -> None:
        if not self._seconds:
            self._sink.write(line)
            self._sink.flush()
            return
        if self._gathered + self._handed - self._written + len(line) > self._at_most:
            self._dropped += 1
            LINES_DROPPED.inc()
        else:
            self._lines.append(line)
            self._gathered += len(line)
        if self._gathered >= _TOGETHER:
            self.flush()
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(self._seconds, self.flush)

    def flush(self) -> None:
        """Hand on what was gathered."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        if self._handed - self._written < self._at_most:
            self._report_dropped()
        if self._lines:
            text = b"".join(self._lines)
            self._lines, self._gathered = [], 0
            self._handed += len(text)
            self._queue.put(text)
            if self._writer is None:
                self._writer = Thread(target=self._write, name="request-log", daemon=True)
                self._writer.start()

    def _report_dropped(self) -> None:
        if self._dropped:
            event = {"lines": self._dropped, "event": "lines of requests were dropped", "level": "error"}
            self._lines.append(orjson.dumps({**event, "time": datetime.now(UTC)}, option=_OPTIONS))
            self._dropped = 0

    def _write(self) -> None:
        while (text := self._queue.get()) is not None:
            self._sink.write(text)
            self._sink.flush()
            self._written += len(text)

    def close(self) -> None:
        """Write what is left; a reader that takes nothing is waited for some seconds."""
        self._report_dropped()
        self.flush()
        if self._writer is not None:
            self._queue.put(None)
            self._writer.join(5)
            self._writer = None


@lru_cache(maxsize=16_384)
def _shown(tenant: str) -> str:
    """A key that a token or an API key proves has few letters, and may still look like the number of a card."""
    return scrub(tenant)
