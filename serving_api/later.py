"""Work that goes on after the answer, in the process: so that whoever asked learns nothing from its time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from serving_api.problems import Problem
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    import structlog

_SECONDS = 5


class Later:
    """A bounded number of tasks; an error of one is logged.

    Args:
        log: of the service.
        most: tasks at once.
    """

    def __init__(self, log: structlog.typing.FilteringBoundLogger, most: int = 32) -> None:
        self._log, self._most = log, most
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> bool:
        """Begin ``work``; False: there is no place, and it is not done."""
        if len(self._tasks) >= self._most:
            work.close()
            return False
        task = asyncio.create_task(self._done(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def finish(self) -> None:
        """Wait for what was begun, a few seconds."""
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=_SECONDS)

    async def _done(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (Problem, RefusalError) as error:
            self._log.warning("work after an answer failed", reason=str(error))
