"""What became of one event. A plain route: a source may hold slashes, which stay encoded in the raw path alone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

import anyio.to_thread
import orjson

from serving_api.problems import Problem
from serving_api.responses import amount, refuse_parameters, respond
from serving_api.schemas import is_plain
from serving_api.security.authentication import identify
from serving_api.service import service_of
from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.stores.event_store import EventStore
from valueverse.platform.warehouse import connect
from valueverse.services.billing.explain_event import explain_event

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from valueverse.platform.settings import Settings

PATH = "/v1/events/{key:path}"


async def get_event(request: Request) -> Response:
    """The fate of the event with a source and an id, each percent-encoded."""
    identity = await identify(request, "billing:read")
    refuse_parameters(request)
    source, event = _key(request)
    service = service_of(request)
    # Connections are made by nobody before the pool has checked what the login could read.
    await service.database.call("ready")
    explain = partial(_explained, service.settings, identity.tenant, source, event)
    try:
        answer = await anyio.to_thread.run_sync(explain, limiter=service.explaining)
    except RefusalError as refusal:
        if refusal.code == "unknown_event":
            raise _unknown() from refusal
        service.log.warning("event not explained", code=refusal.code, reason=refusal.message)
        raise Problem("unavailable", "The events cannot be read.", headers={"Retry-After": "5"}) from refusal
    return respond(request, orjson.dumps(_fate(answer)))


def _explained(settings: Settings, tenant: str, source: str, event: str) -> dict[str, Any]:
    with connect(settings, "api", autocommit=True) as connection:
        answers = explain_event(EventStore(connection, "api"), Lake(settings.lake_url), source, event, tenant)
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
