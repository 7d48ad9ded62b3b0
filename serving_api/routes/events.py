"""Events of the tenant of a session or an API key: stored for ingestion before they are acknowledged."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving_api.event_schemas import EventReceipt
from serving_api.examples import events_body
from serving_api.receiving import refused_bodies, store_events
from serving_api.responses import JSON, media_of, refuse_parameters, require_media
from serving_api.security.authentication import identify_sender
from serving_api.service import service_of
from valueverse.audit import Checkpoint, sign_checkpoint
from valueverse.dates import utc_text
from valueverse.landing import binary_event, expand
from valueverse.services.ingestion.receive_events import judge_body, judge_texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from valueverse.landing import Form
    from valueverse.services.ingestion.receive_events import JudgedEvents

router = APIRouter(prefix="/v1", tags=["events"])

_FORMS: dict[str, Form] = {
    JSON: "json",
    "application/cloudevents+json": "json",
    "application/cloudevents-batch+json": "json",
    "application/x-ndjson": "lines",
}
_ATTRIBUTE = re.compile(r"ce-([a-z0-9]{1,20})")


@router.post(
    "/events",
    response_model=EventReceipt,
    status_code=202,
    summary="Send events",
    openapi_extra={"requestBody": events_body()},
)
async def receive_events(request: Request) -> Response:
    """Send one CloudEvent, a list of them, or one on each line (NDJSON), compressed or not, by a session or with the
    API key itself. The answer comes once they are stored durably. It says what becomes of each event as far as the
    request shows it; ingestion knows whether one was received before. What is refused is stored too, and quarantined.
    Sending the same events again changes nothing: an event counts once for its source and id.
    """
    identity = await identify_sender(request, "events:write")
    refuse_parameters(request)
    service = service_of(request)
    judge = _judge(request)
    async with service.intake.body(request, identity.tenant) as body:
        moment = datetime.now(UTC)
        with refused_bodies():
            judged = await service.intake.work(identity.tenant, lambda: judge(body, identity.tenant, moment))
    receipt = await store_events(request, identity, judged, moment)
    tree = Checkpoint(f"valueverse/events/{identity.tenant}/{receipt}", judged.events, judged.root)
    answer = {
        "batch": str(receipt),
        "received_at": utc_text(moment),
        "root": judged.root.hex(),
        "receipt": sign_checkpoint(tree, service.audit_key),
        "counts": judged.counts,
        "results": orjson.Fragment(judged.results),
    }
    return Response(orjson.dumps(answer), 202, media_type="application/json")


def _judge(request: Request) -> Callable[[bytes, str, datetime], JudgedEvents]:
    """How the body is read, by the request's headers.

    Raises:
        Problem: ``unsupported-media-type``, before any of the body is read.
    """
    encoding = request.headers.get("content-encoding", "")
    attributes = _attributes(request)
    if attributes:
        require_media(request, JSON)
        return partial(_judge_binary, attributes, encoding)
    form = _FORMS[media_of(request, JSON)[0]]
    return lambda body, tenant, moment: judge_body(body, encoding, form, tenant, moment)


def _judge_binary(
    attributes: dict[str, str], encoding: str, body: bytes, tenant: str, moment: datetime
) -> JudgedEvents:
    return judge_texts([binary_event(attributes, expand(body, encoding))], tenant, moment)


def _attributes(request: Request) -> dict[str, str]:
    """Attributes of an event in binary mode: headers ``ce-…``, percent-encoded; none in the other modes."""
    named = {name: unquote(value) for name, value in request.headers.items() if _ATTRIBUTE.fullmatch(name)}
    return {name.removeprefix("ce-"): value for name, value in named.items()}
