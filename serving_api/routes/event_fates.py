"""Events that were received, and what became of one.

That of one event is a plain route: a source may hold slashes, which stay encoded in the raw path alone.
"""

from __future__ import annotations

from dataclasses import astuple
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from urllib.parse import quote, unquote_to_bytes

import anyio.to_thread
import orjson
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.event_schemas import EventPage
from serving_api.problems import Problem
from serving_api.responses import amount, page, refuse_parameters, refuse_repeated, respond
from serving_api.schemas import EventQuery, is_plain
from serving_api.security.authentication import identify, requires
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.stores.event_store import EventStore
from valueverse.platform.warehouse import connect
from valueverse.services.billing.explain_event import explain_event
from valueverse.services.ingestion.search_events import EventFilters, accepted_events, quarantined_events
from valueverse.services.ingestion.topic import sent_texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from serving_api.service import Service
    from valueverse.platform.settings import Settings

PATH = "/v1/events/{key:path}"
Result = TypeVar("Result")


_PLACES = {"accepted": ("time", "source", "id"), "quarantined": ("received_at", "file", "line")}

router = APIRouter(prefix="/v1", tags=["events"])


@router.get("/events", response_model=EventPage, summary="List events")
async def list_events(
    request: Request,
    query: Annotated[EventQuery, Query()],
    identity: Annotated[Identity, Depends(requires("billing:read"))],
) -> Response:
    """Accepted events by their time, or quarantined lines by their receipt, the newest first. What waits for ingestion
    is not among them.
    """
    refuse_repeated(request)
    service = service_of(request)
    filters = EventFilters(query.source, query.id, query.type, query.customer, query.from_, query.to)
    if query.fate == "quarantined" and query.customer is not None:
        place = {"path": "query.customer", "message": "what was quarantined is of no customer"}
        raise Problem("invalid-request", "This filter is of accepted events alone.", errors=[place])
    scope = ("events", identity.tenant, query.fate, *astuple(filters))
    after = service.cursors.read(scope, query.cursor, 3)
    search = accepted_events if query.fate == "accepted" else quarantined_events
    lake = Lake(service.settings.lake_url)
    found = await _of_lake(service, partial(search, lake, identity.tenant, filters, after, query.limit + 1))
    cursor = None
    if len(found) > query.limit:
        last = found[query.limit - 1]
        cursor = service.cursors.make(scope, [last[name] for name in _PLACES[query.fate]])
    return respond(request, page(found, query.limit, cursor))


async def _of_lake(service: Service, read: Callable[[], Result]) -> Result:
    """What ``read`` gives, beside the event loop.

    Raises:
        Problem: ``not-found``, ``unavailable``.
    """
    try:
        return await anyio.to_thread.run_sync(read, limiter=service.explaining)
    except RefusalError as refusal:
        if refusal.code == "unknown_event":
            raise _unknown() from refusal
        service.log.warning("events not read", code=refusal.code, reason=refusal.message)
        raise Problem("unavailable", "The events cannot be read.", headers={"Retry-After": "5"}) from refusal


async def get_event(request: Request) -> Response:
    """The fate of the event with a source and an id, each percent-encoded."""
    identity = await identify(request, "billing:read")
    refuse_parameters(request)
    source, event = _key(request)
    service = service_of(request)
    # Connections are made by nobody before the pool has checked what the login could read.
    await service.database.call("ready")
    answer = await _of_lake(service, partial(_explained, service.settings, identity.tenant, source, event))
    return respond(request, orjson.dumps(_fate(answer)))


def _explained(settings: Settings, tenant: str, source: str, event: str) -> dict[str, Any]:
    sent = partial(sent_texts, settings)
    with connect(settings, "api", autocommit=True) as connection:
        answers = explain_event(EventStore(connection, "api"), Lake(settings.lake_url), source, event, tenant, sent)
    # More than one only of what was quarantined more than once: the newest counts.
    return answers[-1]


def _key(request: Request) -> tuple[str, str]:
    """Source and id of the path.

    Raises:
        Problem: ``not-found`` for what no event can have.
    """
    raw: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
    parts = raw.partition(b"?")[0].removeprefix(b"/v1/events/").split(b"/")
    try:
        texts = [unquote_to_bytes(part).decode() for part in parts]
    except UnicodeDecodeError as error:
        raise _unknown() from error
    if len(texts) != 2 or not all(text and is_plain(text) for text in texts):
        raise _unknown()
    return texts[0], texts[1]


def _unknown() -> Problem:
    return Problem("not-found", "No event has this source and id.")


def _fate(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer of ``explain_event`` with amounts in major units."""
    fate = {name: value for name, value in answer.items() if name != "tenant"}
    if "lines" in fate:
        fate["lines"] = [
            {name: value for name, value in line.items() if name != "amount_minor"}
            | {"amount": amount(line["amount_minor"], line["currency"])}
            for line in fate["lines"]
        ]
    return fate
