"""Bodies: how many bytes of them are in memory at once; of events whose they are, and which of them is judged next."""

from __future__ import annotations

from collections import Counter, deque
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from serving_api.metrics import BODY_BYTES, SHED
from serving_api.problems import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from starlette.requests import Request

MOST_HELD = 128 * 2**20
"""Bytes of bodies that wait in this process, all requests together; of one tenant, half of them."""
MOST_REQUESTS = 256
"""Requests with events that are answered at once by this process; of one tenant, half of them."""
_AT_ONCE = 2
"""Bodies that are expanded and judged at once, each of which takes some hundred megabytes."""

MOST_OF_ALL = 512 * 2**20
"""Bytes of bodies of all requests, also of those that have not signed in."""

Result = TypeVar("Result")


class Turns:
    """A few places for much work: tenants take turns, however much of it each has."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: dict[str, deque[anyio.Event]] = {}

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator[None]:
        """A place, as soon as it is the tenant's turn."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(tenant)
        try:
            yield
        finally:
            self._next()

    async def _wait(self, tenant: str) -> None:
        mine = anyio.Event()
        self._waiting.setdefault(tenant, deque()).append(mine)
        came = False
        try:
            await mine.wait()
            came = True
        finally:
            if not came and mine.is_set():
                self._next()
            elif not came:
                self._waiting[tenant].remove(mine)
                if not self._waiting[tenant]:
                    del self._waiting[tenant]

    def _next(self) -> None:
        tenant = next(iter(self._waiting), None)
        if tenant is None:
            self._free += 1
            return
        others = self._waiting.pop(tenant)
        others.popleft().set()
        if others:
            self._waiting[tenant] = others


class Bodies:
    """The memory that one process gives to bodies of requests of every kind."""

    def __init__(self, most: int = MOST_OF_ALL) -> None:
        self.free = most

    @contextmanager
    def held(self) -> Iterator[Callable[[int], None]]:
        """What counts bytes of one request's body, until the request is answered.

        Raises:
            Problem: ``unavailable``, from what counts: the bound is reached.
        """
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            if size > self.free:
                raise _too_many("Too much is being received.")
            taken += size
            self.free -= size

        try:
            yield take
        finally:
            self.free += taken


class Intake:
    """The memory that one process gives to bodies of events, and the work on them."""

    def __init__(self, most: int = MOST_HELD, requests: int = MOST_REQUESTS) -> None:
        self._most = most
        self._requests = requests
        self._held: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._turns = Turns(_AT_ONCE)

    @asynccontextmanager
    async def body(self, request: Request, tenant: str) -> AsyncIterator[bytes]:
        """The tenant's request's whole body, counted for as long as it is used.

        Raises:
            Problem: ``unavailable`` while others, or the tenant itself, use up what there is; ``request-timeout``;
                ``body-too-large``.
        """
        if _used_up(self._answered, tenant, 1, self._requests):
            raise _too_many()
        self._answered[tenant] += 1
        taken = 0
        parts = []
        try:
            async for part in request.stream():
                if _used_up(self._held, tenant, len(part), self._most):
                    raise _too_many()
                taken += len(part)
                self._held[tenant] += len(part)
                BODY_BYTES.inc(len(part))
                parts.append(part)
            whole = b"".join(parts)
            parts.clear()
            yield whole
        finally:
            BODY_BYTES.dec(taken)
            for counted, number in ((self._held, taken), (self._answered, 1)):
                counted[tenant] -= number
                if not counted[tenant]:
                    del counted[tenant]

    async def work(self, tenant: str, judge: Callable[[], Result]) -> Result:
        """What ``judge`` gives, worked out beside the event loop when it is the tenant's turn."""
        async with self._turns.turn(tenant):
            return await anyio.to_thread.run_sync(judge)


def _used_up(counted: Counter[str], tenant: str, more: int, most: int) -> bool:
    return counted.total() + more > most or counted[tenant] + more > most // 2


def _too_many(detail: str = "Too many events are being received.") -> Problem:
    SHED.inc()
    return Problem("unavailable", detail, headers={"Retry-After": "1"})
