"""Secrets of people, which are sealed: opened beside the event loop, and what is refused about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread

from serving_api.problems import Problem, unacceptable
from serving_api.service import service_of
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

Result = TypeVar("Result")
_AWAY = {"key_server_unreachable", "key_server_refused", "warehouse_unreachable"}


async def sealing(request: Request, work: Callable[[], Result]) -> Result:
    """What ``work`` gives, which seals or opens a secret: in a thread, a few at once.

    Raises:
        Problem: ``invalid-request``, ``conflict``, ``unavailable``.
        RefusalError: a sealed value or its key is damaged.
    """
    try:
        return await anyio.to_thread.run_sync(work, limiter=service_of(request).sealing)
    except RefusalError as refusal:
        raise refused_secret(refusal) from refusal


def refused_secret(refusal: RefusalError) -> Exception:
    """The answer to a password, code or secret that is refused; the refusal itself where it is our fault."""
    if refusal.code in _AWAY:
        return Problem("unavailable", "What seals secrets does not answer.", headers={"Retry-After": "5"})
    if refusal.code == "has_second_factor":
        return Problem("conflict", "There is a second factor already: remove it first.")
    return unacceptable(refusal) if refusal.code in {"wrong_code", "weak_password"} else refusal
