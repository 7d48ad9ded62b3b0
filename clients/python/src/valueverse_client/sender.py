"""``Sender``: usage events are on disk when ``add`` returns, and sent in batches until the API has stored each."""

from __future__ import annotations

import gzip
import logging
import math
import sqlite3
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, Self, TypedDict

import anyio.to_thread
import httpx

from valueverse_client.client import HEADERS, LOCAL
from valueverse_client.problems import ProblemError, raise_for_problem
from valueverse_client.requests import json_bytes
from valueverse_client.retries import Retries
from valueverse_client.spool import Batch, Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from valueverse_client._generated.types import EventResult

LOG = logging.getLogger("valueverse_client")
_EVENT_LIMIT = 1 << 20
_BATCH_REFUSED = frozenset([400, 413, 415, 422])
"""Statuses of a request that will be answered the same again."""
_LOOK_SECONDS = 1.0
"""How often a flush looks for what another process has sent."""
_LINES = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}


class NewEvent(TypedDict):
    """A usage event. ``specversion``, ``id``, ``source`` and ``time`` are filled where they are left out."""

    type: str
    subject: NotRequired[str]
    data: dict[str, Any] | None
    id: NotRequired[str]
    source: NotRequired[str]
    time: NotRequired[str | datetime]
    specversion: NotRequired[str]
    replaces: NotRequired[str]


@dataclass(frozen=True)
class Batching:
    """How events are sent and stored.

    Attributes:
        events: of a request at most.
        size: bytes of a request at most, before compression.
        linger: seconds that an event waits for others to be sent with it.
        spool: bytes that events may take on disk.
        timeout: seconds to wait for an answer.
    """

    events: int = 1000
    size: int = 4 << 20
    linger: float = 1.0
    spool: int = 256 << 20
    timeout: float = 30.0


class Sender:
    """Sends usage events in the background.

    An event that ``add`` has taken is not lost, whatever happens to the network, the process or the power: it stays in
    the spool until the API has answered that it is stored durably. It is sent at least once, always with the same id,
    and the API counts it once. A sender that is started with the same spool goes on where the last one ended.

    Args:
        api_key: with the scope ``events:write``.
        base_url: of the API.
        spool: file of the events that are not sent yet.
        source: of events that name none; an id is unique within it.
        batching: sizes and times.
        on_refused: called with the result of each event that the API has quarantined, or that it takes in no request
            (which stays in the spool's table ``set_aside``); by default they are logged.
        retries: how long to wait between attempts; a sender never gives up.
        transport: of httpx.
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = LOCAL,
        *,
        spool: str | Path,
        source: str,
        batching: Batching | None = None,
        on_refused: Callable[[EventResult], None] | None = None,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._source = source
        self._batching = batching or Batching()
        self._on_refused = on_refused or _log_refused
        self._retries = retries or Retries()
        self._spool = Spool(Path(spool), self._batching.spool)
        self._http = httpx.Client(
            base_url=base_url,
            timeout=self._batching.timeout,
            headers=HEADERS | {"Authorization": f"Bearer {api_key}"},
            transport=transport,
        )
        self._changed = threading.Condition()
        self._hurry = self._closing = False
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="valueverse-sender", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def add(self, event: NewEvent) -> str:
        """Take an event: it is on disk when this returns. Gives its id.

        Raises:
            SpoolFullError: there is no space left; the event is not taken.
            ValueError, TypeError: it is no JSON, or larger than 1 MiB.
        """
        return self.add_all([event])[0]

    def add_all(self, events: Sequence[NewEvent]) -> list[str]:
        """Take all of the events or none, with one write to the disk. Raises as ``add``."""
        filled = [self._filled(event) for event in events]
        lines = [json_bytes(event) for event in filled]
        for event, line in zip(filled, lines, strict=True):
            if len(line) > _EVENT_LIMIT:
                raise ValueError(f"event {event['id']!r} has {len(line)} bytes; {_EVENT_LIMIT} are allowed")
        if lines:
            self._spool.add(lines)
            with self._changed:
                self._changed.notify_all()
        return [str(event["id"]) for event in filled]

    def _filled(self, event: NewEvent) -> dict[str, Any]:
        defaults = {"specversion": "1.0", "id": str(uuid.uuid4()), "source": self._source, "time": datetime.now(UTC)}
        return {**defaults, **event}

    @property
    def waiting(self) -> int:
        """How many events are not sent yet."""
        return self._spool.waiting()

    @property
    def failure(self) -> Exception | None:
        """Why the last attempt failed; None after one that did not."""
        return self._failure

    def flush(self, seconds: float | None = None) -> None:
        """Wait until the API has stored every event that is there now.

        Raises:
            TimeoutError: it has not within ``seconds``; the events stay in the spool.
        """
        newest = self._spool.newest()
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        with self._changed:
            self._hurry = True
            self._changed.notify_all()
            while self._spool.has_up_to(newest):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"{self._spool.waiting()} events are not sent yet: {self._failure}")
                self._changed.wait(min(left, _LOOK_SECONDS))

    def close(self, seconds: float = 10.0) -> int:
        """Send what can be sent within ``seconds``, and stop once a request that is under way is answered. Gives how
        many events stay in the spool, for the next sender."""
        if not self._thread.is_alive():
            return 0
        with suppress(TimeoutError):
            self.flush(seconds)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        left = self._spool.waiting()
        self._http.close()
        self._spool.close()
        return left

    def _run(self) -> None:
        failures, most = 0, self._batching.events
        while not self._closing:
            try:
                most = self._send_next(most)
                failures, self._failure = 0, None
            except (httpx.HTTPError, ProblemError, sqlite3.Error) as error:
                if not failures:
                    LOG.warning("events wait in the spool: %s", error)
                failures, self._failure = failures + 1, error
                asked = error.retry_after if isinstance(error, ProblemError) else None
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, self._retries.wait_after(failures, asked))
            with self._changed:
                self._changed.notify_all()

    def _send_next(self, most: int) -> int:
        """Send the next batch, once there is one. Gives how many events the one after it may have.

        Raises:
            ProblemError, httpx.HTTPError, sqlite3.Error: it is to be sent again.
        """
        batch = self._next(most)
        if batch is None:
            return most
        try:
            results = self._send(batch)
        except ProblemError as problem:
            if problem.status not in _BATCH_REFUSED:
                raise
            if len(batch.lines) > 1:
                return len(batch.lines) // 2
            self._spool.set_aside(batch.last, str(problem))
            results = [_refused(problem)]
        else:
            self._spool.remove(batch.last)
        for result in results:
            if result["status"] == "refused":
                self._report(result)
        return self._batching.events

    def _next(self, most: int) -> Batch | None:
        """The next batch once it is due; None when the sender is closed first."""

        def is_due() -> bool:
            return self._hurry or self._closing or self._failure is not None or self._spool.has(most)

        with self._changed:
            if not self._spool.has(1):
                self._hurry = False
                self._changed.wait_for(lambda: self._closing or self._spool.has(1))
            self._changed.wait_for(is_due, self._batching.linger)
        return None if self._closing else self._spool.oldest(most, self._batching.size)

    def _send(self, batch: Batch) -> list[EventResult]:
        body = gzip.compress(b"\n".join(batch.lines), compresslevel=1)
        answer = raise_for_problem(self._http.post("/v1/events", content=body, headers=_LINES))
        # Whatever else stands between: only the API's own word removes events from the spool.
        try:
            results: list[EventResult] = answer.json()["results"]
        except (ValueError, KeyError, TypeError):
            results = []
        if answer.status_code != 202 or len(results) != len(batch.lines):
            raise ProblemError({"title": "The answer is not one of this API"}, answer.status_code)
        return results

    def _report(self, result: EventResult) -> None:
        try:
            self._on_refused(result)
        except Exception:
            LOG.exception("on_refused failed")


def _refused(problem: ProblemError) -> EventResult:
    """The result of an event that the API takes in no request."""
    return {
        "source": None,
        "id": None,
        "status": "refused",
        "leaf": "",
        "reason": problem.type,
        "message": str(problem),
        "path": None,
    }


def _log_refused(result: EventResult) -> None:
    LOG.error("event %s was refused: %s", result["id"], result.get("message"))


class AsyncSender:
    """A ``Sender`` for an event loop: ``async with AsyncSender(Sender(…)) as sender``. Nothing blocks the loop."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def add(self, event: NewEvent) -> str:
        """As ``Sender.add``."""
        return await anyio.to_thread.run_sync(self._sender.add, event)

    async def add_all(self, events: Sequence[NewEvent]) -> list[str]:
        """As ``Sender.add_all``."""
        return await anyio.to_thread.run_sync(self._sender.add_all, events)

    async def flush(self, seconds: float | None = None) -> None:
        """As ``Sender.flush``."""
        await anyio.to_thread.run_sync(self._sender.flush, seconds)

    async def aclose(self, seconds: float = 10.0) -> int:
        """As ``Sender.close``."""
        return await anyio.to_thread.run_sync(self._sender.close, seconds)
