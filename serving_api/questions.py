"""Questions of many requests that are asked together: while some are asked, those that come wait and are the next."""

from __future__ import annotations

import asyncio
from contextvars import Context
from typing import TYPE_CHECKING, Generic, TypeVar

from serving_api.problems import Problem
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Question = TypeVar("Question")
Answer = TypeVar("Answer")

_MOST = 100
"""Questions that are asked together."""


class Together(Generic[Question, Answer]):
    """Gives each question to ``ask``, with the others that wait.

    Args:
        ask: answers questions, in their order; a refusal is that of all; after any other error each is asked alone.
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
        asked = self._ask([question for question, _ in together])
        (found,) = await asyncio.gather(asked, return_exceptions=True)
        if isinstance(found, BaseException):
            if len(together) > 1 and not isinstance(found, Problem | RefusalError):
                # What one tenant's question ends with is not the answer to another's.
                for one_question in together:
                    await self._answer([one_question])
                return
            for _, answer in together:
                if not answer.done():
                    answer.set_exception(found)
            return
        for (_, answer), one in zip(together, found, strict=True):
            # Whoever asked may be gone.
            if not answer.done():
                answer.set_result(one)
