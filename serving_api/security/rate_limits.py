"""Requests and events a minute and tenant, by the generic cell rate algorithm: one limit across all workers, stored
in Valkey.

A bucket is one instant: the time at which it will be full again. A request moves it on by a minute's share; one that
would move it more than a whole minute ahead is refused. What is counted after it was read, a batch of events, may move
it further where anything was left: the batch is taken, and those that come next wait for it. If Valkey does not
answer, each worker limits by itself until it does: the API goes on, and the limit is at worst multiplied by the number
of workers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from serving_api.metrics import LIMITED_ALONE
from serving_api.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    import structlog

REQUESTS = 100
WINDOW = 60

# KEYS: bucket. ARGV: limit a window, window in microseconds, cost, whether it may go beyond, and a test's own time. The
# time is the server's:
# workers' clocks differ. A bucket that is full again is forgotten some minutes later.
_SCRIPT = """
local now = redis.call('TIME')
local instant = tonumber(ARGV[5]) or now[1] * 1000000 + now[2]
local share = math.floor(tonumber(ARGV[2]) / tonumber(ARGV[1]))
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), instant)
local later = full + share * tonumber(ARGV[3])
local over = later - instant - tonumber(ARGV[2])
local left = full - instant < tonumber(ARGV[2])
if over > 0 and not (ARGV[4] == '1' and left) then
  return {0, full - instant, math.max(over, 0)}
end
if later > instant then
  redis.call('SET', KEYS[1], string.format('%.0f', later), 'PX', math.ceil((later - instant) / 1000) + 600000)
end
return {1, later - instant, 0}
"""

_PAUSE = 1.0
"""Seconds for which a silent Valkey is not asked again: each request would wait for it."""


@dataclass(frozen=True)
class Verdict:
    """Whether a request may go on, and what the headers say."""

    allowed: bool
    remaining: int
    reset: int
    """Seconds until the bucket is full again."""
    retry: int
    """Seconds until one more request would be allowed."""

    def headers(self, limit: int) -> dict[str, str]:
        """RateLimit headers of an answer about a bucket of that many a minute."""
        return {
            "RateLimit-Policy": f"{limit};w={WINDOW}",
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class Limiter:
    """Buckets by name, of ``requests`` a minute unless another limit is named.

    Args:
        url: of Valkey.
        log: gets a line when Valkey does not answer.
        requests: of a bucket, a minute.
        clock: microseconds since the epoch; None: Valkey's own clock, or this process's while Valkey is silent.
        patience: seconds that Valkey may take to answer.
    """

    def __init__(
        self,
        url: str,
        log: structlog.typing.FilteringBoundLogger,
        requests: int = REQUESTS,
        clock: Callable[[], int] | None = None,
        patience: float = 0.5,
    ) -> None:
        self.requests = requests
        self._log = log
        self._clock = clock
        self._valkey = Redis.from_url(
            url, socket_timeout=patience, socket_connect_timeout=patience, retry=Retry(NoBackoff(), 0)
        )
        self._script = self._valkey.register_script(_SCRIPT)
        self._silent_until = 0.0
        self._own: dict[str, float] = {}

    async def spend(self, bucket: str, cost: int = 1, limit: int | None = None, *, beyond: bool = False) -> Verdict:
        """Take ``cost`` (0: only look) out of ``bucket``.

        Args:
            bucket: its name, the same for every worker.
            cost: how many.
            limit: a minute; ``requests`` if left out.
            beyond: take it whole as long as anything is left; what is missing is waited for by those that come next.
        """
        limit = limit or self.requests
        if time.monotonic() >= self._silent_until:
            own = self._clock() if self._clock else ""
            arguments = [limit, WINDOW * 1_000_000, max(cost, 0), int(beyond), own]
            try:
                allowed, ahead, over = await self._script(keys=[f"valueverse:limit:{bucket}"], args=arguments)
            except (RedisError, OSError, TimeoutError) as error:
                self._silent_until = time.monotonic() + _PAUSE
                self._log.warning("limits are counted by each worker alone", reason=str(error) or type(error).__name__)
            else:
                return _verdict(limit, bool(allowed), int(ahead), int(over))
        return self._alone(bucket, cost, limit, beyond)

    def _alone(self, bucket: str, cost: int, limit: int, beyond: bool) -> Verdict:
        LIMITED_ALONE.inc()
        now = self._clock() if self._clock else time.monotonic() * 1_000_000
        if len(self._own) > 10_000:
            self._own = {name: full for name, full in self._own.items() if full > now}
        full = max(self._own.get(bucket, 0.0), now)
        later = full + cost * (WINDOW * 1_000_000 // limit)
        over = later - now - WINDOW * 1_000_000
        if over > 0 and not (beyond and full - now < WINDOW * 1_000_000):
            return _verdict(limit, False, int(full - now), int(over))
        self._own[bucket] = later
        return _verdict(limit, True, int(later - now), 0)

    async def answers(self) -> bool:
        """Whether Valkey answers."""
        try:
            return bool(await self._valkey.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Let the connections go."""
        await self._valkey.aclose()


def _verdict(limit: int, allowed: bool, ahead: int, over: int) -> Verdict:
    share = WINDOW * 1_000_000 // limit
    remaining = max(0, (WINDOW * 1_000_000 - ahead) // share)
    return Verdict(allowed, remaining, _seconds(ahead), _seconds(over))


def refused(verdict: Verdict, limit: int, what: str = "requests") -> Problem:
    """The answer to one too many."""
    retry = max(1, verdict.retry)
    return Problem(
        "rate-limited",
        f"More than {limit} {what} a minute; wait {retry} s.",
        headers={"Retry-After": str(retry)},
    )


def _seconds(microseconds: int) -> int:
    return -(-microseconds // 1_000_000)
