"""Bodies of events, which are large: how many bytes of them are in memory at once, and how many are judged at once."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from serving_api.metrics import BODY_BYTES, SHED
from serving_api.problems import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request

MOST_HELD = 128 * 2**20
"""Bytes of bodies that wait in this process, all requests together."""
_AT_ONCE = 2
"""Bodies that are expanded and judged at once, each of which takes some hundred megabytes."""
_PATIENCE = 60
"""Seconds that a body may take to come."""

Result = TypeVar("Result")


class Intake:
    """The memory that one process gives to bodies of events."""

    def __init__(self, most: int = MOST_HELD) -> None:
        self._left = most
        self._judges = anyio.CapacityLimiter(_AT_ONCE)

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The request's whole body, counted for as long as it is used.

        Raises:
            Problem: ``unavailable`` while others use up the memory; ``request-timeout``; ``body-too-large``.
        """
        taken = 0
        parts = []
        try:
            with anyio.move_on_after(_PATIENCE) as waiting:
                async for part in request.stream():
                    if len(part) > self._left:
                        SHED.inc()
                        headers = {"Retry-After": "1"}
                        raise Problem("unavailable", "Too many events are being received.", headers=headers)
                    taken += len(part)
                    self._left -= len(part)
                    BODY_BYTES.inc(len(part))
                    parts.append(part)
            if waiting.cancelled_caught:
                raise Problem("request-timeout", f"The body did not come within {_PATIENCE} seconds.")
            whole = b"".join(parts)
            parts.clear()
            yield whole
        finally:
            self._left += taken
            BODY_BYTES.dec(taken)

    async def work(self, judge: Callable[[], Result]) -> Result:
        """What ``judge`` gives, worked out beside the event loop."""
        return await anyio.to_thread.run_sync(judge, limiter=self._judges)
