"""Questions of many requests that are asked together: while enough are asked, those that come wait and are the next."""

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
_AT_ONCE = 2
"""How often: Postgres answers some while others are sent and taken; the other connections are for other routes."""


class Together(Generic[Question, Answer]):
    """Gives each question to ``ask``, with the others that wait.

    Args:
        ask: answers questions, in their order; a refusal is that of all; after any other error each is asked alone.
    """

    def __init__(self, ask: Callable[[Sequence[Question]], Awaitable[Sequence[Answer]]]) -> None:
        self._ask = ask
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._asking: set[asyncio.Task[None]] = set()

    async def ask(self, question: Question) -> Answer:
        """The answer.

        Raises:
            Exception: whatever asking raised.
        """
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, answer))
        if len(self._asking) < _AT_ONCE:
            # Its log lines are of nobody's request.
            self._asking.add(asyncio.create_task(self._ask_all(), context=Context()))
        return await answer

    async def _ask_all(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
                await self._answer(together)
        finally:
            # At once, not by a callback: a question that comes before it would count on a task that has ended.
            self._asking = {task for task in self._asking if task is not asyncio.current_task()}
            if not self._asking:
                # Nothing is left, unless it was ended by something else: nobody waits for an answer that will not come.
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
