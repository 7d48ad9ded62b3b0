"""When a request is sent again, and after how long."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import httpx

from valueverse_client.problems import ProblemError

_PASSING = frozenset([408, 429, 500, 502, 503, 504])
_NOT_BEGUN = frozenset([429, 503])
"""Statuses that say that nothing was done."""


@dataclass(frozen=True)
class Retries:
    """How long a client tries.

    Attributes:
        attempts: of one request, the first included.
        seconds: after the first attempt none is begun any more; who is asked to wait for longer gives up at once.
        first_wait: seconds before the second attempt; each later wait is twice as long.
        longest_wait: seconds; what ``Retry-After`` asks for is waited in full.
        jitter: seconds; up to so much is added to every wait, so that clients do not come back all at once.
    """

    attempts: int = 8
    seconds: float = 120.0
    first_wait: float = 0.2
    longest_wait: float = 15.0
    jitter: float = 1.0

    def wait_after(self, failures: int, asked: float | None = None) -> float:
        """Seconds to wait after so many failures in a row; ``asked``: by the server."""
        wait = min(self.first_wait * 2 ** min(failures - 1, 30), self.longest_wait) if asked is None else asked
        return wait + secrets.randbelow(1000) / 1000 * self.jitter

    def after(self, error: Exception, *, repeatable: bool) -> bool | float:
        """Whether a request that ended with ``error`` is sent again; seconds to wait where the server has named them.

        ``repeatable``: a second time has no second effect. Otherwise it is only sent again where the first one has
        certainly done nothing.
        """
        if isinstance(error, httpx.TransportError):
            return repeatable or isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
        if not isinstance(error, ProblemError):
            return False
        # A conflict is final, but a write that is still being answered says when to ask again.
        being_answered = error.status == 409 and error.retry_after is not None
        if error.status not in (_PASSING if repeatable else _NOT_BEGUN) and not being_answered:
            return False
        if error.retry_after is None:
            return True
        return error.retry_after < self.seconds and self.wait_after(1, error.retry_after)
