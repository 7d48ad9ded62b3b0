"""Finished answers of this process: what is read again and again, as the bytes that are sent.

An answer is cached under whose it is (tenant; in a portal tenant and customer) and what it is of. It is good until
Postgres notifies that invoices have changed, and for ``TTL`` at most. While the connection that is notified does not
answer, nothing is cached and nothing is taken: a process that would not hear of a change answers from Postgres.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from serving_api.database import wait_for_answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import structlog

    Key = tuple[str, ...]
    Headers = list[tuple[bytes, bytes]]

PATH = "/v1/invoices/{number}"
"""The route whose answers are cached."""
TTL = 60.0
"""Seconds for which an answer is good, whatever is heard."""
_BEAT = 1.0
"""Seconds between looks at whether the connection is alive."""
_DEAF = 3.0
"""Seconds after the last one that was answered for which answers are taken."""
_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of status 200, and the same as 304.

    Attributes:
        tag: its ETag.
        headers: of 200, without those of the request.
        unchanged: of 304, likewise.
        body: of 200.
        until: ``time.monotonic()`` until which it is good.
    """

    tag: str
    headers: Headers
    unchanged: Headers
    body: bytes
    until: float


class AnswerCache:
    """Answers up to a number of bytes; those that were not asked for the longest go first.

    Args:
        most: bytes of bodies; 0: nothing is ever cached.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._answers: OrderedDict[Key, Answer] = OrderedDict()
        self._bytes = 0
        self._heard = float("-inf")
        self.changes = 0
        """How often it was emptied: an answer that was read before the last time is not cached."""

    def take(self, key: Key) -> Answer | None:
        """The answer, if there is a good one."""
        found = self._answers.get(key)
        if found is None:
            return None
        now = time.monotonic()
        if now > found.until or now > self._heard + _DEAF:
            return None
        self._answers.move_to_end(key)
        return found

    def keep(self, key: Key, answer: Answer, changes: int) -> None:
        """Keep an answer that was read when ``changes`` was what it says."""
        if changes != self.changes or len(answer.body) > self._most or time.monotonic() > self._heard + _DEAF:
            return
        before = self._answers.pop(key, None)
        self._bytes += len(answer.body) - (len(before.body) if before else 0)
        self._answers[key] = answer
        while self._bytes > self._most:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= len(oldest.body)

    def hear(self) -> None:
        """The connection that is notified has answered just now."""
        self._heard = time.monotonic()

    def clear(self) -> None:
        """Something has changed, or may have."""
        self.changes += 1
        self._answers.clear()
        self._bytes = 0


class Listening:
    """A connection of its own that empties a cache whenever Postgres notifies it.

    Args:
        cache: which one.
        connect: makes the connection, and says on which channel.
        log: gets a line when it is lost and when it is there again.
    """

    def __init__(
        self,
        cache: AnswerCache,
        connect: Callable[[], Awaitable[tuple[Any, str]]],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._cache = cache
        self._connect = connect
        self._log = log
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Listen from now on, until ``close``."""
        self._task = self._task or asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Let the connection go."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear_one_connection()
            except _LOST as error:
                self._log.warning("changes are not heard", reason=str(error) or type(error).__name__)
            finally:
                self._cache.clear()
            await asyncio.sleep(_BEAT)

    async def _hear_one_connection(self) -> None:
        """Until the connection is lost."""
        connection, channel = await self._connect()
        try:
            await connection.add_listener(channel, lambda *_: self._cache.clear())
            # What changed before it listened was not heard.
            self._cache.clear()
            while True:
                await wait_for_answer(connection, _DEAF - _BEAT)
                self._cache.hear()
                await asyncio.sleep(_BEAT)
        finally:
            connection.terminate()
