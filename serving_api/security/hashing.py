"""Hashing of passwords beside the event loop: bounded, so that log-ins cannot use up memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from serving_api.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


class Hashing:
    """A few threads.

    Args:
        at_once: how many passwords are hashed at once: each takes 19 MiB, and a core for some tens of milliseconds.
        waiting: how many more may wait: some seconds of work.
    """

    def __init__(self, at_once: int = 4, waiting: int = 32) -> None:
        self._limiter = anyio.CapacityLimiter(at_once)
        self._most = at_once + waiting
        self._asked = 0

    async def work(self, question: Callable[[], Result]) -> Result:
        """What ``question`` gives, which hashes a password.

        Raises:
            Problem: ``unavailable`` where too many wait already.
        """
        if self._asked >= self._most:
            raise Problem("unavailable", "Too many people sign in at once.", headers={"Retry-After": "2"})
        self._asked += 1
        try:
            return await anyio.to_thread.run_sync(question, limiter=self._limiter)
        finally:
            self._asked -= 1
