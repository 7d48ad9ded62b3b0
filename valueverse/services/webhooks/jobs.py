"""The jobs that deliver notifications: one for each attempt, put in by whatever makes a delivery wait for it."""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

from valueverse.platform.job_queue import JobKind
from valueverse.platform.outbound import Answer, GuardedNetwork, post
from valueverse.platform.stores import webhook_store as store
from valueverse.platform.warehouse import connect
from valueverse.services.webhooks.signing import signed_headers

if TYPE_CHECKING:
    from valueverse.platform.isolation import Failure
    from valueverse.platform.job_queue import Job
    from valueverse.platform.settings import Settings

QUEUE = "webhooks"
WAITS = (5, 60, 300, 1800, 7200, 21_600, 43_200, 86_400)
"""Seconds between attempts: after the last of them, some two days in all, a delivery is dead."""
_AGAIN = (5, 30, 120, 600)
"""Seconds before an attempt begins again that was not made, or is not recorded, for a reason on our side."""
_SECONDS = 15
"""An attempt may take."""
_GONE = 410
_CONNECTIONS = 8
"""Attempts that begin or end at once in a process, for which each has a connection to the database; while it waits for
an answer it has none."""
_PLACES: RunVar[CapacityLimiter] = RunVar("places of attempts")
_RANDOM = secrets.SystemRandom()


async def _work(settings: Settings, job: Job) -> dict[str, Any] | None:
    row = await to_thread.run_sync(_begin, settings, job, limiter=_places())
    if row is None:
        # Delivered or given up meanwhile, or due at another instant, for which there is another job.
        return None
    headers = signed_headers(settings, row, datetime.now(UTC))
    network, begun = GuardedNetwork(private=settings.webhook_private_addresses), time.monotonic_ns()
    answer = await post(row["url"], headers, row["body"].encode(), network, _SECONDS)
    milliseconds = (time.monotonic_ns() - begun) // 1_000_000
    await to_thread.run_sync(_finish, settings, row, answer, milliseconds, limiter=_places())
    named = {name: row[name] for name in ("endpoint", "message_id", "attempts")}
    return named | {"status": answer.status, "reason": answer.reason}


def _places() -> CapacityLimiter:
    limiter = _PLACES.get(None)
    if limiter is None:
        limiter = CapacityLimiter(_CONNECTIONS)
        _PLACES.set(limiter)
    return limiter


def _begin(settings: Settings, job: Job) -> dict[str, Any] | None:
    with connect(settings, "builder") as connection:
        return store.begin_attempt(connection, job.tenant, int(job.key))


def _finish(settings: Settings, row: dict[str, Any], answer: Answer, milliseconds: int) -> None:
    state, wait = outcome(row["attempts"], answer)
    done = {"state": state, "wait": wait, "status": answer.status, "reason": answer.reason}
    with connect(settings, "builder") as connection:
        store.finish_attempt(connection, row, done | {"milliseconds": milliseconds})
        if answer.status == _GONE:
            store.disable(connection, row["tenant"], row["endpoint"], "the endpoint answered 410 Gone")


async def _give_up(settings: Settings, job: Job, _: Failure) -> None:
    # The reason is of the installation: it is in the log, and no tenant's business. A replay delivers it.
    await to_thread.run_sync(partial(_end, settings, job, "it could not be attempted, for a reason on our side"))


def _end(settings: Settings, job: Job, reason: str) -> None:
    with connect(settings, "builder") as connection:
        store.give_up(connection, job.tenant, int(job.key), reason)


def outcome(attempts: int, answer: Answer) -> tuple[str, int]:
    """What becomes of a delivery after so many attempts, and how many seconds it waits for the next one."""
    if answer.status is not None and 200 <= answer.status < 300:
        return "delivered", 0
    if answer.status == _GONE or attempts > len(WAITS):
        return "dead", 0
    # Endpoints that failed together are not asked together again.
    return "waiting", _RANDOM.randint(WAITS[attempts - 1] * 4 // 5, WAITS[attempts - 1] * 6 // 5)


KINDS = (JobKind("deliver_webhook", QUEUE, _work, _AGAIN, _give_up),)
