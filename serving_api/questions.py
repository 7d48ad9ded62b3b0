"""Questions of many requests that are asked together: while some are asked, those that come wait and are the next."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Question = TypeVar("Question")
Answer = TypeVar("Answer")

_MOST = 100
"""Questions that are asked together."""


class Together(Generic[Question, Answer]):
    """Gives each question to ``ask``, with the others that wait.

    Args:
        ask: answers questions, in their order; what it raises is raised to each who asked.
    """

    def __init__(self, ask: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]]) -> None:
        self._ask = ask
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._asking: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """The answer.

        Raises:
            Exception: whatever asking raised.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if self._asking is None:
            # Its log lines are of nobody's request.
            self._asking = asyncio.create_task(self._ask_all(), context=Context())
        return await answer

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                await self._answer(together)
        finally:
            self._asking = None
            for _, answer in self._waiting:
                answer.cancel()
            self._waiting = []

    async def _answer(self, together: Sequence[tuple[Question, asyncio.Future[Answer]]]) -> None:
        try:
            found = await self._ask([question for question, _ in together])
        except Exception as error:  # noqa: BLE001 - it is whoever asked who handles it
            for _, answer in together:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), one in zip(together, found, strict=True):
            # Whoever asked may be gone.
            if not answer.done():
                answer.set_result(one)
