"""The process that delivers notifications: ``python -m valueverse.services.webhooks.deliver_webhooks``."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg

from valueverse.errors import RefusalError
from valueverse.platform.outbound import Answer, GuardedNetwork, post
from valueverse.platform.settings import get_settings
from valueverse.platform.stores import webhook_store as store
from valueverse.platform.telemetry.logs import make_log
from valueverse.platform.warehouse import connect
from valueverse.services.webhooks.signing import signed_headers

if TYPE_CHECKING:
    import httpcore
    import structlog

    from valueverse.platform.settings import Settings

WAITS = (5, 60, 300, 1800, 7200, 21_600, 43_200, 86_400)
"""Seconds between attempts: after the last of them, some two days in all, a delivery is dead."""
_MOST = 32
_SHARE = 4
"""Deliveries that are under way at once, and those of one tenant."""
_PAUSE = 1
"""Seconds between two looks at what is due."""
_LEASE = 60


class Deliverer:
    """Delivers what is due, as long as it is asked to.

    Args:
        settings: of the installation.
        log: gets a line for each attempt.
        network: how endpoints are reached.
        seconds: an attempt may take.
    """

    def __init__(
        self,
        settings: Settings,
        log: structlog.typing.FilteringBoundLogger,
        network: httpcore.AsyncNetworkBackend | None = None,
        seconds: float = 15,
    ) -> None:
        self._settings, self._log, self._seconds = settings, log, seconds
        self._network = network or GuardedNetwork(private=settings.webhook_private_addresses)
        self._tasks: dict[asyncio.Task[None], str] = {}

    async def look(self) -> int:
        """Begin what is due and has a place; how many attempts that is."""
        free = _MOST - len(self._tasks)
        if free <= 0:
            return 0
        rows = await asyncio.to_thread(self._claim, free, dict(Counter(self._tasks.values())))
        for row in rows:
            task = asyncio.create_task(self._attempt(row))
            self._tasks[task] = row["tenant"]
            task.add_done_callback(self._tasks.pop)
        return len(rows)

    async def drain(self) -> None:
        """Wait for the attempts that are under way."""
        if self._tasks:
            await asyncio.wait(list(self._tasks))

    async def run(self) -> None:
        """Deliver for ever; a database that does not answer is asked again."""
        while True:
            try:
                await self.look()
            except (RefusalError, psycopg.Error) as error:
                self._log.warning("nothing is delivered: the database does not answer", reason=str(error))
            await asyncio.sleep(_PAUSE)

    def _claim(self, most: int, busy: dict[str, int]) -> list[dict[str, Any]]:
        with connect(self._settings, "builder", autocommit=True) as connection:
            return store.claim(connection, most, _SHARE, busy, _LEASE)

    async def _attempt(self, row: dict[str, Any]) -> None:
        headers = signed_headers(self._settings, row, datetime.now(UTC))
        begun = time.monotonic_ns()
        answer = await post(row["url"], headers, row["body"].encode(), self._network, self._seconds)
        milliseconds = (time.monotonic_ns() - begun) // 1_000_000
        self._log.info(
            "webhook",
            tenant=row["tenant"],
            endpoint=row["endpoint"],
            message=row["message_id"],
            attempt=row["attempts"],
            status=answer.status,
            reason=answer.reason,
        )
        try:
            await asyncio.to_thread(self._finish, row, answer, milliseconds)
        except (RefusalError, psycopg.Error) as error:
            # Nobody has recorded it, so it is tried again after the lease, with the same id.
            self._log.warning("an attempt is not recorded", message=row["message_id"], reason=str(error))

    def _finish(self, row: dict[str, Any], answer: Answer, milliseconds: int) -> None:
        state, wait = outcome(row["attempts"], answer)
        done = {"state": state, "wait": wait, "status": answer.status, "reason": answer.reason}
        with connect(self._settings, "builder") as connection:
            store.finish(connection, row, done | {"milliseconds": milliseconds})
            if answer.status == _GONE:
                store.disable(connection, row["tenant"], row["endpoint"], "the endpoint answered 410 Gone")


_GONE = 410
_RANDOM = secrets.SystemRandom()


def outcome(attempts: int, answer: Answer) -> tuple[str, int]:
    """What becomes of a delivery after so many attempts, and how many seconds it waits for the next one."""
    if answer.status is not None and 200 <= answer.status < 300:
        return "delivered", 0
    if answer.status == _GONE or attempts > len(WAITS):
        return "dead", 0
    # Endpoints that failed together are not asked together again.
    return "waiting", _RANDOM.randint(WAITS[attempts - 1] * 4 // 5, WAITS[attempts - 1] * 6 // 5)


if __name__ == "__main__":
    asyncio.run(Deliverer(get_settings(), make_log()).run())
