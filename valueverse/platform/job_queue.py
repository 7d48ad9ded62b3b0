"""Background work: jobs that wait in Postgres and are done by the server ``worker``, fairly between tenants.

How to add work of another kind:

1. By migration, a row of ``queue.tenant_share`` for its queue: how many jobs of one tenant are under way at once.
2. In ``services.background.job_kinds``, a ``JobKind`` and how many jobs of the queue one process does at once.
3. In the transaction of the change: ``select queue.defer(tenant, queue, task, key)``; a fifth argument says when it is
   due. ``queue.defer_all`` takes arrays, for triggers of statements, and is the owner's alone. The roles
   ``valueverse_owner`` (of triggers), ``valueverse_builder`` and ``valueverse_reader`` (of the functions of ``api``)
   may call the first. The job has the request and trace of the transaction's settings ``valueverse.request`` and
   ``valueverse.traceparent``. ``queue.cancel(tenant, job)`` takes it back, or ends it while it is under way.

A job holds ids: what is to be done is in the tables of its object, which also say whether it is done already. For a job
may begin again: after an error, after its worker was killed, and even beside itself, should a heartbeat have stopped.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import procrastinate
import psycopg
import structlog
from procrastinate.exceptions import ConnectorException, JobAborted
from procrastinate.job_context import AbortReason, JobContext

from valueverse.errors import RefusalError
from valueverse.platform.isolation import Failure, failure_of, is_shared
from valueverse.platform.telemetry import tracing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from procrastinate.connector import Notify
    from procrastinate.jobs import Job as StoredJob

    from valueverse.platform.settings import Settings

STALLED_SECONDS = 15
"""After so many seconds without a heartbeat a worker counts as dead, and its jobs begin again."""
_GRACE = 8
"""Seconds that jobs may go on after the worker is to stop; then they are ended, and begin again."""
_STAY_HOURS = 30 * 24
"""How long jobs that were given up or cancelled stay."""
_PAUSE = 2
_LOOK = '{"type": "job_inserted"}'
_AWAY = (ConnectorException, psycopg.Error, OSError)
_RANDOM = secrets.SystemRandom()

# Its lines would hold the texts of exceptions as they are; what happens to a job is logged here, without secrets.
logging.getLogger("procrastinate").addHandler(logging.NullHandler())
logging.getLogger("procrastinate").propagate = False


@dataclass(frozen=True)
class Job:
    """What is to be done.

    Attributes:
        tenant: whose it is.
        key: of the object that it is about, within the tenant.
        attempt: from 1.
    """

    tenant: str
    key: str
    attempt: int


@dataclass(frozen=True)
class JobKind:
    """Jobs of one task.

    Attributes:
        task: its name.
        queue: where they wait.
        work: does a job, without blocking the event loop, and gives what its line in the log says besides. An exception
            is a failed attempt: a refusal that is about the tenant's data is the last one, any other is followed by the
            next attempt.
        waits: seconds before each further attempt; after the last one the job is given up.
        give_up: called with the reason when no attempt follows; until it has ended without an error.
    """

    task: str
    queue: str
    work: Callable[[Settings, Job], Awaitable[Mapping[str, Any] | None]]
    waits: tuple[int, ...]
    give_up: Callable[[Settings, Job, Failure], Awaitable[None]]

    def wait(self, error: BaseException, attempts: int) -> float | None:
        """Seconds until the next attempt after ``attempts`` earlier ones and this error; None: none follows.

        Drawn between 0.8 and 1.2 times the stated wait: what failed together does not come back together.
        """
        final = isinstance(error, RefusalError) and not is_shared(error)
        if final or attempts >= len(self.waits):
            return None
        return self.waits[attempts] * _RANDOM.uniform(0.8, 1.2)


class _NotGivenUpError(Exception):
    """What a job is about does not say yet that it was given up."""


class _Waits(procrastinate.BaseRetryStrategy):
    def __init__(self, kind: JobKind) -> None:
        self._kind = kind

    def get_retry_decision(self, *, exception: BaseException, job: StoredJob) -> procrastinate.RetryDecision | None:
        """When the next attempt follows; at once where this worker is stopped."""
        wait: float | None
        if isinstance(exception, asyncio.CancelledError):
            wait = 0
        elif isinstance(exception, _NotGivenUpError):
            wait = STALLED_SECONDS
        else:
            wait = self._kind.wait(exception, job.attempts)
        return (
            None if wait is None else procrastinate.RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=wait))
        )


class _Connector(procrastinate.PsycopgConnector):
    """Every login of the database may notify: what is heard makes a worker look for jobs, and nothing else.

    Which job is to be ended, a worker reads from the table of jobs (``abort_job_polling_interval``).
    """

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        async def heard(*, channel: str, payload: str) -> None:
            del payload
            await on_notification(channel=channel, payload=_LOOK)

        await super().listen_notify(heard, channels)


class Worker:
    """Does jobs.

    Args:
        settings: of the installation.
        kinds: of jobs that it can do.
        at_once: queue -> jobs of all tenants that are under way in this process at once.
        log: gets a line for each attempt.
    """

    def __init__(
        self,
        settings: Settings,
        kinds: Iterable[JobKind],
        at_once: Mapping[str, int],
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._settings, self._at_once, self._log = settings, at_once, log
        self._kinds = {kind.task: kind for kind in kinds}
        self._begun = 0
        self._cleaned = 0.0  # when old jobs are deleted next

    async def run(self) -> None:
        """Do jobs until it is cancelled; a database that does not answer is asked again."""
        while True:
            try:
                async with self._app().open_async() as app, asyncio.TaskGroup() as group:
                    group.create_task(self._take_up_again(app))
                    for queue in self._at_once:
                        group.create_task(self._work(app, queue, wait=True))
            except* _AWAY as errors:
                self._log.warning("no job is done: the database does not answer", reason=str(errors.exceptions[0]))
            await asyncio.sleep(_PAUSE)

    async def run_due(self) -> None:
        """Do the jobs that are due, and those of dead workers, until none is left."""
        async with self._app().open_async() as app:
            await self._take_up(app)
            begun = -1
            # While a tenant has its share under way, a worker that does not wait leaves the tenant's other jobs.
            while begun != self._begun:
                begun = self._begun
                for queue in self._at_once:
                    await self._work(app, queue, wait=False)

    def _app(self) -> procrastinate.App:
        options = {"options": "-c search_path=queue -c timezone=UTC", "application_name": "valueverse-worker"}
        # Each queue keeps one to listen.
        url, size = self._settings.postgres_url("builder"), 2 * len(self._at_once) + 2
        connector = _Connector(conninfo=url, kwargs=options, min_size=1, max_size=size, timeout=10)
        app = procrastinate.App(connector=connector)
        for kind in self._kinds.values():
            task = app.task(name=kind.task, queue=kind.queue, retry=_Waits(kind), pass_context=True)
            task(partial(self._attempt, kind))
        return app

    async def _work(self, app: procrastinate.App, queue: str, *, wait: bool) -> None:
        await app.run_worker_async(
            queues=[queue],
            name=queue,
            concurrency=self._at_once[queue],
            wait=wait,
            fetch_job_polling_interval=_PAUSE,
            abort_job_polling_interval=_PAUSE,
            shutdown_graceful_timeout=_GRACE,
            delete_jobs="successful",
            install_signal_handlers=False,
            update_heartbeat_interval=STALLED_SECONDS / 5,
            stalled_worker_timeout=STALLED_SECONDS,
        )
        if wait:
            # It returns when it could not write its heartbeat.
            raise ConnectorException(f"the worker of the queue {queue} has stopped")

    async def _attempt(
        self,
        kind: JobKind,
        context: JobContext,
        *,
        tenant: str,
        key: str,
        request: str | None = None,
        traceparent: str | None = None,
    ) -> None:
        job, begun = Job(tenant, key, context.job.attempts + 1), time.monotonic()
        self._begun += 1
        bound = {"tenant": tenant, "job": context.job.id, "request_id": request}
        attributes = {"messaging.system": "procrastinate", "messaging.destination.name": kind.queue,
                      "valueverse.tenant": tenant, "valueverse.attempt": job.attempt}  # fmt: skip
        if request:
            attributes["valueverse.request_id"] = request
        with (
            structlog.contextvars.bound_contextvars(**{name: one for name, one in bound.items() if one}),
            tracing.span(f"job {kind.task}", "consumer", traceparent, attributes),
        ):
            log = self._log.bind(task=kind.task, key=key, attempt=job.attempt)
            try:
                more = await kind.work(self._settings, job)
            except asyncio.CancelledError:
                log.info("job ended before it was done")
                if context.abort_reason() == AbortReason.USER_REQUEST:
                    raise JobAborted from None
                raise
            except Exception as error:
                failure = failure_of(tenant, error)
                follows = kind.wait(error, context.job.attempts) is not None
                log.warning("job failed", code=failure.code, reason=failure.message, again=follows)
                if not follows:
                    await self._give_up(kind, job, failure)
                raise
            log.info("job done", seconds=round(time.monotonic() - begun, 3), **(more or {}))

    async def _give_up(self, kind: JobKind, job: Job, failure: Failure) -> None:
        try:
            await kind.give_up(self._settings, job, failure)
        except Exception as error:
            raise _NotGivenUpError from error

    async def _take_up_again(self, app: procrastinate.App) -> None:
        while True:
            await asyncio.sleep(STALLED_SECONDS / 3)
            await self._take_up(app)

    async def _take_up(self, app: procrastinate.App) -> None:
        """Let jobs begin again whose worker is dead, and give up what has killed one worker after another."""
        manager = app.job_manager
        for stored in await manager.get_stalled_jobs(seconds_since_heartbeat=STALLED_SECONDS):
            kind = self._kinds.get(stored.task_name)
            if kind is None or stored.queue not in self._at_once:
                continue
            tenant, key = str(stored.task_kwargs["tenant"]), str(stored.task_kwargs["key"])
            log = self._log.bind(tenant=tenant, task=kind.task, key=key, job=stored.id)
            # Another worker may be faster: then it is not under way any more.
            with suppress(ConnectorException):
                if stored.attempts < len(kind.waits):
                    await manager.retry_job(stored, retry_at=datetime.now(UTC))
                    log.warning("job begins again: its worker is dead")
                else:
                    failure = Failure(tenant, "worker_ended", "each worker that did this has ended meanwhile")
                    await kind.give_up(self._settings, Job(tenant, key, stored.attempts + 1), failure)
                    await manager.finish_job(stored, procrastinate.jobs.Status.FAILED, delete_job=False)
                    log.warning("job given up: each of its workers is dead")
        if time.monotonic() > self._cleaned:
            self._cleaned = time.monotonic() + 3600
            await manager.delete_old_jobs(
                nb_hours=_STAY_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
            )
