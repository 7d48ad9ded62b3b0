"""Attempts to sign in by password, counted by account in Valkey: after a few that failed, each next one waits longer.

An account is a tenant and an address, whether or not somebody has it: the answers do not show it. An attempt counts
before it is judged, so that many at once are as few as many in a row. Where Valkey does not answer nobody signs in by
password: unlike requests, guesses are never let through uncounted.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from serving_api.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

FREE = 5
"""Attempts before the first wait."""
FIRST_WAIT, LONGEST_WAIT = 30, 900
"""Seconds; each failed attempt doubles the wait."""
FORGOTTEN_AFTER = 86_400
"""Seconds after the last attempt."""

# KEYS: account. ARGV: free attempts; first wait, longest wait and memory in seconds; a test's own time in microseconds.
_SCRIPT = """
local now = redis.call('TIME')
local instant = tonumber(ARGV[5]) or now[1] * 1000000 + now[2]
local known = redis.call('HMGET', KEYS[1], 'count', 'until')
local blocked = tonumber(known[2] or '0') or 0
if blocked > instant then return {math.ceil((blocked - instant) / 1000000), 0} end
local count = (tonumber(known[1] or '0') or 0) + 1
local wait = 0
if count >= tonumber(ARGV[1]) then
  wait = math.min(tonumber(ARGV[2]) * 2 ^ math.min(count - tonumber(ARGV[1]), 20), tonumber(ARGV[3]))
end
redis.call('HSET', KEYS[1], 'count', count, 'until', string.format('%.0f', instant + wait * 1000000))
redis.call('EXPIRE', KEYS[1], ARGV[4])
return {0, wait}
"""


class Attempts:
    """Counts attempts, and forgets them once one was right.

    Args:
        url: of Valkey.
        clock: microseconds since the epoch; None: Valkey's own clock.
    """

    def __init__(self, url: str, clock: Callable[[], int] | None = None) -> None:
        self._clock = clock
        self._valkey = Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0))
        self._script = self._valkey.register_script(_SCRIPT)

    async def begin(self, tenant: str, account: str) -> bool:
        """Count an attempt: whether the account has to wait now, unless this attempt is right.

        Raises:
            Problem: ``rate-limited``: the account has to wait; ``unavailable``.
        """
        own = self._clock() if self._clock else ""
        try:
            wait, next_wait = await self._script(
                keys=[_name(tenant, account)], args=[FREE, FIRST_WAIT, LONGEST_WAIT, FORGOTTEN_AFTER, own]
            )
        except (RedisError, OSError, TimeoutError) as error:
            detail = "Nobody can sign in by password for the moment."
            raise Problem("unavailable", detail, headers={"Retry-After": "5"}) from error
        if wait:
            detail = f"Too many attempts for this account: wait {wait} seconds."
            raise Problem("rate-limited", detail, headers={"Retry-After": str(wait)})
        return bool(next_wait)

    async def forget(self, tenant: str, account: str) -> None:
        """What was counted does not matter any more: the right person has signed in."""
        try:
            await self._valkey.delete(_name(tenant, account))
        except (RedisError, OSError, TimeoutError):
            # The next wait comes early then; nobody is let in by it.
            return

    async def close(self) -> None:
        """Let the connections go."""
        await self._valkey.aclose()


def _name(tenant: str, account: str) -> str:
    # Hashed: names of keys are shown by tools and logs of Valkey, and an address is of a person.
    return f"valueverse:attempts:{tenant}:{hashlib.sha256(account.encode()).hexdigest()}"
