"""Events received and ingested, as server-sent events (WHATWG HTML, section 9.2), until the session ends."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import orjson
from fastapi import APIRouter, Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.event_schemas import EventStreamQuery
from serving_api.examples import EVENT_STREAM
from serving_api.live_events import end_of, read_place, write_place
from serving_api.problems import Problem
from serving_api.responses import refuse_repeated
from serving_api.security.authentication import bearer, requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator
    from typing import Any

    from starlette.types import Receive, Scope, Send

    from serving_api.live_events import Announced, Listener, Place
    from serving_api.service import Service

router = APIRouter(prefix="/v1", tags=["events"])

HEARTBEAT = 15
"""Seconds after which something is sent, and after which the session is looked at."""
SEND_SECONDS = 30
"""Seconds that a client may take to receive a piece."""
_HEADERS = {"cache-control": "no-store", "content-type": "text/event-stream; charset=utf-8", "x-accel-buffering": "no"}


@router.get(
    "/events/stream",
    response_class=Response,
    summary="Follow events as they are received and ingested",
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": EVENT_STREAM}}}},
)
async def stream_events(
    request: Request,
    query: Annotated[EventStreamQuery, Query()],
    identity: Annotated[Identity, Depends(requires("billing:read"))],
    last_event_id: Annotated[
        str | None,
        Header(description="Go on behind this event: the last `id` that was received.", examples=["1700000000000-0.3"]),
    ] = None,
) -> Response:
    """Server-sent events: `received` for each event of any request from now on, with what was found of it; `ingested`
    for each that ingestion has taken, wherever it came from: `accepted`, `duplicate`, or `quarantined` and why; `more`
    with the number of events beyond the first 200 of a request or of a commit of ingestion; `gap` where events were
    missed that are not stored any more (`GET /v1/events` has them); `end` with the reason, then connect again. A
    comment comes every 15 seconds. It ends with the access token, or when its session is ended or its API key revoked,
    and for whoever reads too slowly.
    """
    refuse_repeated(request)
    after = None if last_event_id is None else read_place(last_event_id)
    if last_event_id is not None and after is None:
        place = {"path": "header.last-event-id", "message": "not the id of an event of this stream"}
        raise Problem("invalid-request", "One or more values are not acceptable.", errors=[place])
    service = service_of(request)
    expires = service.tokens.expiry(bearer(request) or "")
    until = time.monotonic() + min(query.seconds, expires - time.time())
    return EventStream(_Following(service, identity, query, after, until))


@dataclass
class _Following:
    """What one client follows.

    Attributes:
        service, identity: by whom and for whom.
        query: which events.
        after: the place of the last that it has; None: it has none, and wants those from now on.
        until: when it ends, by ``time.monotonic``.
    """

    service: Service
    identity: Identity
    query: EventStreamQuery
    after: Place | None
    until: float

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """What is sent, piece by piece; an empty one: it has begun.

        Raises:
            Problem: before the first piece.
        """
        live, tenant = self.service.live, self.identity.tenant
        async with live.listening(tenant) as listener:
            after = await live.last(tenant) if self.after is None else self.after
            stored, whole = await live.stored(tenant, after)
            yield b""
            if self.after is not None and not whole:
                yield _event("gap", {"after": write_place(self.after)}, None)
            for announced in stored:
                after, piece = self._piece(announced, after)
                if piece:
                    yield piece
            async for piece in self._live(listener, after):
                yield piece

    async def _live(self, listener: Listener, after: Place) -> AsyncIterator[bytes]:
        checked = time.monotonic()
        while not listener.slow:
            left = self.until - time.monotonic()
            if left <= 0:
                yield _event("end", {"reason": "time_is_over"}, None)
                return
            announced = await listener.next(min(left, HEARTBEAT - (time.monotonic() - checked)))
            if time.monotonic() - checked >= HEARTBEAT:
                checked = time.monotonic()
                if not await self._is_open():
                    yield _event("end", {"reason": "session_ended"}, None)
                    return
                yield b": heartbeat\n\n"
            if announced is not None:
                after, piece = self._piece(announced, after)
                if piece:
                    yield piece
        yield _event("end", {"reason": "too_slow"}, None)

    async def _is_open(self) -> bool:
        live, identity = self.service.live, self.identity
        await live.want(identity.tenant)
        [row] = await self.service.database.call("session_open", identity.tenant, identity.family)
        return bool(row["session_open"])

    def _piece(self, announced: Announced, after: Place) -> tuple[Place, bytes]:
        """The place behind the entry, and what is sent of it."""
        if announced.place[:2] < after[:2]:
            return after, b""
        return end_of(announced.place), b"".join(self._events(announced, after))

    def _events(self, announced: Announced, after: Place) -> Iterator[bytes]:
        for number, event in enumerate(announced.events, start=1):
            place = (*announced.place[:2], number)
            if place > after and self._wants(event):
                yield _event(announced.kind, event, place)
        last = (*announced.place[:2], len(announced.events) + 1)
        if announced.more and last > after:
            yield _event("more", announced.more, last)

    def _wants(self, event: dict[str, Any]) -> bool:
        wanted = {"type": self.query.type, "customer": self.query.customer}
        return all(value is None or event.get(name) == value for name, value in wanted.items())


class EventStream(Response):
    """A response whose pieces come as there are any; it ends with its client, or with one that takes none."""

    def __init__(self, following: _Following) -> None:
        # Without the base class's own: it would state a length.
        self.status_code, self.background = 200, None
        self.init_headers(_HEADERS)
        self._following = following

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send what the client follows.

        Raises:
            Problem: before anything is sent.
        """
        sending = asyncio.create_task(self._send(send))
        gone = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            for task in (sending, gone):
                task.cancel()
                with suppress(asyncio.CancelledError, Problem, OSError):
                    await task

    async def _send(self, send: Send) -> None:
        begun = False
        pieces = self._following.pieces()
        try:
            async for piece in pieces:
                if not begun:
                    await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                    begun = True
                # A client that takes nothing is let go of: what waits for it grows no further.
                async with asyncio.timeout(SEND_SECONDS):
                    await send({"type": "http.response.body", "body": piece or b": begun\n\n", "more_body": True})
        except TimeoutError:
            pass
        except Problem:
            if not begun:
                raise
        finally:
            await pieces.aclose()
        with suppress(TimeoutError):
            async with asyncio.timeout(SEND_SECONDS):
                await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _event(kind: str, data: dict[str, Any], place: Place | None) -> bytes:
    named = "" if place is None else f"id: {write_place(place)}\n"
    return f"{named}event: {kind}\ndata: ".encode() + orjson.dumps(data) + b"\n\n"
