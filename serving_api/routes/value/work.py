"""Value models are checked and run beside the event loop, a few at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread

from serving_api.problems import Problem
from serving_api.service import service_of
from valueverse.documents import DocumentError
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

PATIENCE = 10
"""Seconds that a request waits for its turn."""
_MOST_NAMED = 100
"""Problems of a model that an answer names."""
_NAMED = {"scenario": "scenarios", "output": "outputs"}
"""Options that may be given again, and the lists that a body states."""

Result = TypeVar("Result")


async def work(request: Request, do: Callable[[], Result], where: str = "body") -> Result:
    """What ``do`` gives.

    Args:
        request: waits for its turn.
        do: computes, without a connection.
        where: the model is, in places of problems.

    Raises:
        Problem: ``unavailable`` while others take all turns; ``invalid-request`` for what ``do`` refuses.
    """
    turns = service_of(request).modelling
    with anyio.move_on_after(PATIENCE) as waiting:
        await turns.acquire()
    if waiting.cancelled_caught:
        raise Problem("unavailable", "Other value models are being worked out.", headers={"Retry-After": "5"})
    try:
        return await anyio.to_thread.run_sync(do)
    except RefusalError as refusal:
        raise refused(refusal, where) from refusal
    finally:
        turns.release()


def refused(refusal: RefusalError, where: str = "body") -> Problem:
    """The answer to what a service refuses: places are options, which the body states, or those of a model."""
    if isinstance(refusal, DocumentError):
        places = [(one.path, one.placed_message) for one in refusal.problems[:_MOST_NAMED]]
        detail = "The model has problems."
    else:
        places, detail = [(refusal.path, refusal.message)], "One or more values are not acceptable."
    errors = [{"path": _place(path, where), "message": message} for path, message in places]
    return Problem("invalid-request", detail, errors=errors)


def _place(path: str, where: str) -> str:
    option = path.removeprefix("--")
    return f"body.{_NAMED.get(option, option)}" if path.startswith("--") else f"{where}.{path}".rstrip(".")
