"""Events as they are received and ingested, announced to whoever listens: through Valkey, so that each worker announces
all of them.

What is announced of a tenant is stored in a stream of its own, and only while somebody listens or has just done so: for
some minutes and up to some hundred entries, so that a listener who comes back misses nothing. Nobody who is slow is
waited for, and nothing here holds up what receives: events are stored, whether anybody hears of them or not.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from serving_api.problems import Problem
from valueverse.platform.live_events import AWAY, STORED, STORED_SECONDS, followed_key, read, stream_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import structlog

    from valueverse.platform.live_events import Entry

MOST_LISTENERS = 10
"""Of one tenant in one process."""
_MOST_OF_ALL = 200
"""Listeners in one process."""
_MOST_WAITING = 32
"""Entries that wait for one listener: who is further behind is too slow."""
_AT_ONCE = 16
_BLOCK = 5_000
"""Milliseconds for which one question to Valkey waits for an answer."""
_PAUSE = 5.0
_PLACE = re.compile(r"(\d{1,15})-(\d{1,10})(?:\.(\d{1,6}))?", re.ASCII)

Place = tuple[int, int, int]
"""Where an event stands among those of its tenant: that of its entry, and its number in it."""
BEGINNING: Place = (0, 0, 0)


def read_place(text: str) -> Place | None:
    """A place as ``write_place`` writes it; None: it is none."""
    found = _PLACE.fullmatch(text)
    return None if found is None else (int(found[1]), int(found[2]), int(found[3] or 0))


def write_place(place: Place) -> str:
    """A place as text."""
    return "{}-{}.{}".format(*place)


def end_of(place: Place) -> Place:
    """The place behind all events of an entry."""
    return (*place[:2], 999_999)


@dataclass(frozen=True)
class Announced:
    """The events of one request, or of one commit of an ingestion.

    Attributes:
        place: of the entry.
        kind: ``received`` or ``ingested``.
        events: the first of them, as JSON values.
        more: counts of those beside these; None: there are none.
    """

    place: Place
    kind: str
    events: list[dict[str, Any]]
    more: dict[str, Any] | None


@dataclass
class Listener:
    """Somebody who is announced of a tenant's events.

    Attributes:
        slow: more of them wait than may, and nothing is announced any more.
    """

    waiting: deque[Announced] = field(default_factory=deque)
    slow: bool = False
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def announce(self, announced: Announced) -> None:
        """Put a request behind those that wait."""
        if len(self.waiting) >= _MOST_WAITING:
            self.slow = True
            self.waiting.clear()
        if not self.slow:
            self.waiting.append(announced)
        self._came.set()

    async def next(self, seconds: float) -> Announced | None:
        """The next request; None where none comes in time, or the listener is too slow."""
        if not self.waiting and not self.slow:
            self._came.clear()
            try:
                async with asyncio.timeout(max(0, seconds)):
                    await self._came.wait()
            except TimeoutError:
                return None
        return self.waiting.popleft() if self.waiting else None


@dataclass
class _Audience:
    listeners: list[Listener] = field(default_factory=list)
    reader: asyncio.Task[None] | None = None


class LiveEvents:
    """What is received of tenants, and who listens in this process.

    Args:
        url: of Valkey.
        log: gets a line when Valkey does not answer.
    """

    def __init__(self, url: str, log: structlog.typing.FilteringBoundLogger) -> None:
        self._log = log
        once = Retry(NoBackoff(), 0)
        self._valkey = Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1, retry=once)
        self._reading = Redis.from_url(url, socket_timeout=_BLOCK / 1000 + 5, socket_connect_timeout=1, retry=once)
        self._silent_until = 0.0
        self._audiences: dict[str, _Audience] = {}

    async def publish(self, tenant: str, make: Callable[[], Entry]) -> None:
        """Announce a request of the tenant, if anybody listens; ``make`` gives the entry. Never fails: who listens may
        miss it, nobody else does."""
        if time.monotonic() < self._silent_until:
            return
        try:
            if not await self._valkey.exists(followed_key(tenant)):
                return
            async with self._valkey.pipeline(transaction=True) as pipeline:
                pipeline.xadd(stream_of(tenant), make(), maxlen=STORED, approximate=False)
                pipeline.expire(stream_of(tenant), STORED_SECONDS)
                await pipeline.execute()
        except AWAY as error:
            self._silent_until = time.monotonic() + _PAUSE
            self._log.warning("nobody is announced of events", reason=str(error) or type(error).__name__)

    @asynccontextmanager
    async def listening(self, tenant: str) -> AsyncIterator[Listener]:
        """A listener of the tenant's events from now on.

        Raises:
            Problem: ``rate-limited``: too many listen; ``unavailable``.
        """
        audience = self._audiences.setdefault(tenant, _Audience())
        everybody = sum(len(one.listeners) for one in self._audiences.values())
        if len(audience.listeners) >= MOST_LISTENERS or everybody >= _MOST_OF_ALL:
            detail = f"{MOST_LISTENERS} streams of a tenant are open at once in a process; end one of them."
            raise Problem("rate-limited", detail, headers={"Retry-After": "15"})
        listener = Listener()
        audience.listeners.append(listener)
        try:
            await self.want(tenant)
            if audience.reader is None:
                audience.reader = asyncio.create_task(self._read(tenant, audience, await self.last(tenant)))
            yield listener
        finally:
            audience.listeners.remove(listener)
            if not audience.listeners and self._audiences.get(tenant) is audience:
                del self._audiences[tenant]
                if audience.reader is not None:
                    audience.reader.cancel()

    async def want(self, tenant: str) -> None:
        """Say that somebody listens: entries are stored from now on, for some minutes.

        Raises:
            Problem: ``unavailable``.
        """
        try:
            await self._valkey.set(followed_key(tenant), 1, ex=STORED_SECONDS)
        except AWAY as error:
            raise _unavailable() from error

    async def last(self, tenant: str) -> Place:
        """The place behind all that is stored of the tenant.

        Raises:
            Problem: ``unavailable``.
        """
        try:
            found: Any = await self._valkey.xrevrange(stream_of(tenant), count=1)
        except AWAY as error:
            raise _unavailable() from error
        return end_of((*_request(found[0][0]), 0)) if found else BEGINNING

    async def stored(self, tenant: str, after: Place) -> tuple[list[Announced], bool]:
        """What is stored of the tenant from the entry of the place ``after`` on, and whether that is all that
        came since.

        Raises:
            Problem: ``unavailable``.
        """
        try:
            found: Any = await self._valkey.xrange(stream_of(tenant), min=f"{after[0]}-{after[1]}")
        except AWAY as error:
            raise _unavailable() from error
        announced = [_announced(one, fields) for one, fields in found]
        return announced, after == BEGINNING or (bool(announced) and announced[0].place[:2] == after[:2])

    async def _read(self, tenant: str, audience: _Audience, after: Place) -> None:
        last = f"{after[0]}-{after[1]}"
        while audience.listeners:
            try:
                found: Any = await self._reading.xread({stream_of(tenant): last}, count=_AT_ONCE, block=_BLOCK)
            except AWAY as error:
                self._log.warning("nothing is heard of events", reason=str(error) or type(error).__name__)
                await asyncio.sleep(1)
                continue
            for one, fields in found[0][1] if found else ():
                last = one
                announced = _announced(one, fields)
                for listener in audience.listeners:
                    listener.announce(announced)

    async def close(self) -> None:
        """Announce nobody of anything any more."""
        for audience in list(self._audiences.values()):
            if audience.reader is not None:
                audience.reader.cancel()
            for listener in audience.listeners:
                listener.slow = True
                listener.announce(Announced(BEGINNING, "received", [], None))
        await self._valkey.aclose()
        await self._reading.aclose()


def _request(name: bytes) -> tuple[int, int]:
    moment, _, number = name.decode().partition("-")
    return int(moment), int(number)


def _announced(name: bytes, fields: dict[bytes, bytes]) -> Announced:
    return Announced((*_request(name), 0), *read(fields))


def _unavailable() -> Problem:
    return Problem("unavailable", "Live events cannot be read.", headers={"Retry-After": "5"})
