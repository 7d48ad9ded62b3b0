"""Requests and events a minute and tenant, by the generic cell rate algorithm: one limit across all workers, stored
in Valkey.

A bucket is one instant: the time at which it will be full again. A request moves it on by a minute's share; one that
would move it more than a whole minute ahead is refused. What is counted after it was read, a batch of events, may move
it further where anything was left: the batch is taken, and those that come next wait for it. If Valkey does not
answer, each worker limits by itself until it does: the API goes on, and the limit is at worst multiplied by the number
of workers.

Whoever asks while Valkey is being asked is asked about in the next round trip, with all others that came meanwhile:
each is judged as if it had come alone, in the order in which they came.

A worker may take a lease: requests that it has not had yet, taken out of a bucket that has at least half of a minute
left after it. It spends them without asking. What a lease moved the bucket on is a time until which it is paid for;
requests move the worker's own time towards it, never beyond. So no lease ever allows what the bucket would not, and one
that is not used is worth nothing once its time is over, as the bucket would be full again by then. Until then other
workers have that much less.
"""

from __future__ import annotations

import asyncio
import time
from contextvars import Context
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from serving_api.metrics import LIMITED_ALONE
from serving_api.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.types import Scope

REQUESTS = 100
WINDOW = 60

# KEYS: a bucket of each question, some of them the same. ARGV: the window in microseconds, a test's own time, and for
# each question its limit a window, its cost, whether it may go beyond, and how many more it would take on lease. The
# time is the server's: workers' clocks differ. A bucket that is full again is forgotten some minutes later.
_SCRIPT = """
local window = tonumber(ARGV[1])
local now = redis.call('TIME')
local instant = tonumber(ARGV[2]) or now[1] * 1000000 + now[2]
local answers = {}
for number, bucket in ipairs(KEYS) do
  local share = math.floor(window / tonumber(ARGV[4 * number - 1]))
  local full = math.max(tonumber(redis.call('GET', bucket) or '0'), instant)
  local later = full + share * tonumber(ARGV[4 * number])
  local over = later - instant - window
  local left = full - instant < window
  if over > 0 and not (ARGV[4 * number + 1] == '1' and left) then
    answers[number] = {0, full - instant, math.max(over, 0), 0}
  else
    local lease = share * tonumber(ARGV[4 * number + 2])
    if later + lease - instant > window / 2 then
      lease = 0
    end
    later = later + lease
    if later > instant then
      redis.call('SET', bucket, string.format('%.0f', later), 'PX', math.ceil((later - instant) / 1000) + 600000)
    end
    answers[number] = {1, later - instant, 0, lease}
  end
end
return answers
"""

_MOST = 500
"""Questions of one round trip: Valkey answers nobody else meanwhile."""

_LEASED = 4
"""A lease is this part of a minute's limit at most: it is over after as long, whether it was used or not."""
_LEASES = 20_000
"""Leases that a worker remembers before it looks which of them are over."""

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


@dataclass(frozen=True, slots=True)
class _Question:
    """A request, or several, that waits for its verdict; None: Valkey does not answer."""

    bucket: str
    limit: int
    cost: int
    beyond: bool
    lease: int
    answer: asyncio.Future[Verdict | None]

    def settle(self, verdict: Verdict | None) -> None:
        """Answer whoever asked, unless that was done or its connection has ended."""
        if not self.answer.done():
            self.answer.set_result(verdict)


@dataclass(slots=True)
class _Lease:
    """Requests of a bucket that were taken out before they came; microseconds of this worker's clock.

    Attributes:
        taken: when the bucket would be full again without those that are left.
        paid: when it will be.
    """

    taken: int
    paid: int


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
        self._leases: dict[str, _Lease] = {}
        self._asked: list[_Question] = []
        self._together: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None

    async def spend(self, bucket: str, cost: int = 1, limit: int | None = None, *, beyond: bool = False) -> Verdict:
        """Take ``cost`` (0: only look) out of ``bucket``.

        Args:
            bucket: its name, the same for every worker.
            cost: how many.
            limit: a minute; ``requests`` if left out.
            beyond: take it whole as long as anything is left; what is missing is waited for by those that come next.
        """
        return await self._spend(bucket, max(cost, 0), limit or self.requests, beyond, 0)

    def take(self, bucket: str) -> Verdict | None:
        """Take one out of a lease of ``bucket``; None where there is none: ``spend_ahead`` asks for one."""
        lease = self._leases.get(bucket)
        if lease is None:
            return None
        now = self._now()
        later = max(lease.taken, now) + WINDOW * 1_000_000 // self.requests
        if later > lease.paid:
            del self._leases[bucket]
            return None
        lease.taken = later
        return _verdict(self.requests, True, later - now, 0)

    async def spend_ahead(self, bucket: str) -> Verdict:
        """Take one out of ``bucket`` as ``spend`` does, and a lease of more where much is left."""
        return await self._spend(bucket, 1, self.requests, False, self.requests // _LEASED)

    async def _spend(self, bucket: str, cost: int, limit: int, beyond: bool, lease: int) -> Verdict:
        if time.monotonic() >= self._silent_until:
            question = _Question(bucket, limit, cost, beyond, lease, asyncio.get_running_loop().create_future())
            self._asked.append(question)
            if self._asking is None:
                # Its log lines are of nobody's request.
                self._asking = asyncio.create_task(self._ask(), context=Context())
                self._asking.add_done_callback(self._ended)
            verdict = await question.answer
            if verdict is not None:
                return verdict
        return self._alone(bucket, cost, limit, beyond)

    def _now(self) -> int:
        return self._clock() if self._clock else time.monotonic_ns() // 1000

    async def _ask(self) -> None:
        """Ask Valkey whatever there is to ask, until nothing is left."""
        while self._asked:
            together = self._together = self._asked[:_MOST]
            self._asked = self._asked[_MOST:]
            for question, verdict in zip(together, await self._verdicts(together), strict=True):
                question.settle(verdict)
        self._asking = None

    def _ended(self, asking: asyncio.Task[None]) -> None:
        """Let nobody wait for an answer that will not come, if ``asking`` was ended by something else."""
        if self._asking is asking:
            for question in (*self._together, *self._asked):
                question.settle(None)
            self._asked, self._asking = [], None

    async def _verdicts(self, together: list[_Question]) -> Sequence[Verdict | None]:
        arguments: list[str | int] = [WINDOW * 1_000_000, self._clock() if self._clock else ""]
        for one in together:
            arguments += (one.limit, one.cost, int(one.beyond), one.lease)
        asked = self._now()
        try:
            found = await self._script(keys=[f"valueverse:limit:{one.bucket}" for one in together], args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            self._silent_until = time.monotonic() + _PAUSE
            self._log.warning("limits are counted by each worker alone", reason=str(error) or type(error).__name__)
            return [None] * len(together)
        verdicts = []
        for one, (allowed, ahead, over, lease) in zip(together, found, strict=True):
            if lease:
                # From before the question: by how much it was under way, the lease is over earlier than it need be.
                paid, before = asked + ahead, self._leases.get(one.bucket)
                left = max(0, before.paid - max(before.taken, asked)) if before else 0
                self._leases[one.bucket] = _Lease(paid - lease - left, paid)
            verdicts.append(_verdict(one.limit, bool(allowed), ahead - lease, over))
        if len(self._leases) > _LEASES:
            self._leases = {bucket: lease for bucket, lease in self._leases.items() if lease.paid > asked}
        return verdicts

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


def bucket_of(owner: tuple[str, ...]) -> str:
    """The bucket of a tenant, or of a customer in its portal, who must not use up what the tenant has. A tenant's key
    has no colon."""
    return ":".join(("tenant" if len(owner) == 1 else "portal", *owner))


def note_verdict(scope: Scope, owner: tuple[str, ...], verdict: Verdict, limit: int) -> None:
    """Note of the request of ``scope`` whose it is, for its log line, and what its headers say of the limit.

    Raises:
        Problem: ``rate-limited``.
    """
    exchange = scope["exchange"]
    exchange.tenant = owner[0]
    structlog.contextvars.bind_contextvars(tenant=owner[0])
    exchange.headers.update(verdict.headers(limit))
    if not verdict.allowed:
        raise refused(verdict, limit)


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
