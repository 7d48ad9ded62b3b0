"""Work of the billing engine in the API's process: beside the event loop, bounded, fair between tenants."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from serving_api.problems import Problem
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable

    import structlog

Result = TypeVar("Result")
_AWAY = {"lake_failed", "lake_unwritable", "disk_full", "warehouse_unreachable"}


@dataclass
class _Turn:
    """A tenant's questions: one is worked out at a time.

    Attributes:
        lock: held for as long as a thread works, also after nobody waits for it any more.
        asked: questions that hold it or wait.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked: int = 0


class Engine:
    """A few threads.

    Args:
        log: of the service.
        threads: how many questions are worked out at once, each of another tenant.
        waiting: how many questions of one tenant there may be.
        seconds: how long a question may take, the wait included.
    """

    def __init__(
        self,
        log: structlog.typing.FilteringBoundLogger,
        threads: int = 2,
        waiting: int = 8,
        seconds: float = 20,
    ) -> None:
        self._log = log
        self._threads = ThreadPoolExecutor(threads, "engine")
        self._waiting = waiting
        self._seconds = seconds
        self._turns: dict[str, _Turn] = {}

    async def work(self, tenant: str, question: Callable[[], Result]) -> Result:
        """What ``question`` gives.

        Raises:
            Problem: ``unavailable`` when the tenant asks too much at once, its question takes too long, or lake or
                warehouse cannot be read.
            RefusalError: any other.
        """
        turn = self._turns.setdefault(tenant, _Turn())
        if turn.asked >= self._waiting:
            raise Problem("unavailable", "Too many such questions of yours are open.", headers={"Retry-After": "2"})
        turn.asked += 1
        job: Future[Result] | None = None
        try:
            async with asyncio.timeout(self._seconds):
                await turn.lock.acquire()
                job = self._begin(tenant, turn, question)
                return await asyncio.shield(asyncio.wrap_future(job))
        except TimeoutError as error:
            detail = f"This could not be worked out within {self._seconds} seconds."
            raise Problem("unavailable", detail, headers={"Retry-After": "5"}) from error
        except RefusalError as refusal:
            if refusal.code not in _AWAY:
                raise
            self._log.warning("not worked out", code=refusal.code, reason=refusal.message)
            detail = "What is known cannot be read."
            raise Problem("unavailable", detail, headers={"Retry-After": "5"}) from refusal
        finally:
            if job is None:
                self._leave(tenant, turn)
            else:
                job.cancel()

    def _begin(self, tenant: str, turn: _Turn, question: Callable[[], Result]) -> Future[Result]:
        loop, job = asyncio.get_running_loop(), self._threads.submit(question)

        def done() -> None:
            turn.lock.release()
            self._leave(tenant, turn)

        def notify(_: Future[Result]) -> None:
            with suppress(RuntimeError):  # the loop may be over
                loop.call_soon_threadsafe(done)

        job.add_done_callback(notify)
        return job

    def _leave(self, tenant: str, turn: _Turn) -> None:
        turn.asked -= 1
        if turn.asked == 0:
            self._turns.pop(tenant, None)

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
