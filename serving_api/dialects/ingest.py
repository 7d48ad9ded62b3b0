"""Events as the clients of other systems send them: translated, judged and stored as those of ``POST /v1/events``.

A request is taken whole or not at all: those clients know no answer about a part of it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.from_thread
import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving_api.dialects.errors import EventsRefused
from serving_api.log_reads import waiting_of
from serving_api.problems import Problem
from serving_api.receiving import refused_bodies, store_events
from serving_api.responses import media_of, refuse_parameters
from serving_api.security.authentication import identify_client
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.landing import dialects, expand
from valueverse.landing.dialects import MOST_BYTES, EventProblem
from valueverse.platform.lake import Lake
from valueverse.services.ingestion.receive_events import judge_texts
from valueverse.services.subscriptions.billing_log import read_log

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from valueverse.landing.dialects import Translation
    from valueverse.services.ingestion.receive_events import JudgedEvents
    from valueverse.services.subscriptions.billing_log import BillingLog

    Translate = Callable[[bytes, datetime], Translation]
    Owners = Callable[[Collection[str]], Mapping[str, str]]

router = APIRouter(prefix="/compat", include_in_schema=False)

JSON = "application/json"
_CLOUD_EVENTS = (JSON, "application/cloudevents+json", "application/cloudevents-batch+json")
NAMED = uuid.UUID("5a0f5cf9-6f2c-5d0b-8a52-2f3f0c1e7d11")
"""Where the ids that Lago's answers give are derived from."""


@dataclass(frozen=True)
class Taken:
    """The stored events of a request.

    Attributes:
        tenant: whose.
        moment: when they were received.
        sent: what an answer repeats of each.
        texts: our CloudEvents.
    """

    tenant: str
    moment: datetime
    sent: list[dict[str, Any]]
    texts: list[str]


@router.post("/openmeter/api/v1/events")
async def openmeter(request: Request) -> Response:
    """One CloudEvent, or a list of them."""
    await take(request, await sender_of(request), dialects.openmeter_events, *_CLOUD_EVENTS)
    return Response(status_code=204)


@router.post("/lago/api/v1/events")
async def lago(request: Request) -> Response:
    """One event of a subscription."""
    identity = await sender_of(request)
    taken = await take(request, identity, partial(dialects.lago_event, owners=_owners(request, identity)))
    return answer({"event": _of_lago(taken, taken.sent[0])})


@router.post("/lago/api/v1/events/batch")
async def lago_batch(request: Request) -> Response:
    """Many events of subscriptions."""
    identity = await sender_of(request)
    taken = await take(request, identity, partial(dialects.lago_batch, owners=_owners(request, identity)))
    return answer({"events": [_of_lago(taken, one) for one in taken.sent]})


@router.post("/metronome/v1/ingest")
async def metronome(request: Request) -> Response:
    """Events of customers."""
    await take(request, await sender_of(request), dialects.metronome_events)
    return Response(status_code=200)


@router.post("/orb/v1/ingest")
async def orb(request: Request) -> Response:
    """Events of customers."""
    await take(request, await sender_of(request), dialects.orb_events)
    return answer({"validation_failed": []})


async def sender_of(request: Request) -> Identity:
    """Whose events the request sends."""
    return await identify_client(request, "events:write")


async def take(request: Request, identity: Identity, translate: Translate, *kinds: str) -> Taken:
    """Translate, judge and store the events of a request, all of them or none.

    Raises:
        EventsRefused: one of them or more are wrong.
        Problem: as of ``POST /v1/events``.
    """
    refuse_parameters(request)
    _require_media(request, kinds or (JSON,))
    service = service_of(request)
    encoding = request.headers.get("content-encoding", "")
    async with service.intake.body(request, identity.tenant) as body:
        moment = datetime.now(UTC)
        with refused_bodies():
            found, judged = await service.intake.work(
                identity.tenant, lambda: _judged(body, encoding, translate, identity.tenant, moment)
            )
    await store_events(request, identity, judged, moment)
    return Taken(identity.tenant, moment, found.sent, found.texts)


def _judged(
    body: bytes, encoding: str, translate: Translate, tenant: str, moment: datetime
) -> tuple[Translation, JudgedEvents]:
    found = translate(expand(body, encoding, MOST_BYTES), moment)
    if found.problems:
        raise EventsRefused(found.problems)
    judged = judge_texts(found.texts, tenant, moment)
    if judged.counts["refused"]:
        raise EventsRefused(
            [
                EventProblem(number, one["id"], found.names.of(one.get("path", "")), one["message"])
                for number, one in enumerate(orjson.loads(judged.results))
                if one["status"] == "refused"
            ]
        )
    return found, judged


def _require_media(request: Request, kinds: Collection[str]) -> None:
    given, is_utf8 = media_of(request)
    if not is_utf8 or (given and given not in kinds):
        raise Problem("unsupported-media-type", f"Send one of: {', '.join(kinds)}, in UTF-8.")


def _owners(request: Request, identity: Identity) -> Owners:
    """Customers of the tenant's subscriptions, looked for in the billing events that are known and that wait."""
    service, tenant = service_of(request), identity.tenant

    def read() -> BillingLog:
        # The inbox is read before the lake: ingestion takes an event out of it only once the lake has it.
        requests = waiting_of(anyio.from_thread.run(service.database.call, "waiting_requests", tenant))
        lake = Lake(service.settings.lake_url)
        return read_log(lake, service.settings.landing, tenant, datetime.now(UTC), requests)

    return lambda subscriptions: service.owners.of(tenant, subscriptions, read)


def _of_lago(taken: Taken, sent: dict[str, Any]) -> dict[str, Any]:
    unique = "/".join((taken.tenant, sent["external_subscription_id"], sent["transaction_id"]))
    ours = {"lago_id": str(uuid.uuid5(NAMED, unique)), "lago_customer_id": None, "lago_subscription_id": None}
    return ours | sent | {"created_at": utc_text(taken.moment)}


def answer(document: dict[str, Any]) -> Response:
    """A document of theirs, each number with its digits."""
    return Response(dialects.json_text(document), 200, media_type=JSON)
