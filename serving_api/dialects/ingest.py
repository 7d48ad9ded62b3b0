"""Events as the clients of other systems send them: translated, judged and stored as those of ``POST /v1/events``.

A request is taken whole or not at all: those clients know no answer about a part of it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio.from_thread
import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving_api.dialects.errors import EventsRefused
from serving_api.problems import Problem
from serving_api.receiving import refused_bodies, store_events
from serving_api.responses import refuse_parameters
from serving_api.routes.writes import waiting_of
from serving_api.schemas import is_plain
from serving_api.security.authentication import identify_client
from serving_api.security.tokens import ACCESS_SECONDS, Identity, new_refresh_token
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.landing import dialects, expand
from valueverse.landing.dialects import MOST_BYTES, EventProblem
from valueverse.platform.access.api_keys import digest
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
_FORM = "application/x-www-form-urlencoded"
_LONGEST_KEY = 255
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
    await _take(request, await _sender(request), dialects.openmeter_events, *_CLOUD_EVENTS)
    return Response(status_code=204)


@router.post("/lago/api/v1/events")
async def lago(request: Request) -> Response:
    """One event of a subscription."""
    identity = await _sender(request)
    taken = await _take(request, identity, partial(dialects.lago_event, owners=_owners(request, identity)))
    return _answer({"event": _of_lago(taken, taken.sent[0])})


@router.post("/lago/api/v1/events/batch")
async def lago_batch(request: Request) -> Response:
    """Many events of subscriptions."""
    identity = await _sender(request)
    taken = await _take(request, identity, partial(dialects.lago_batch, owners=_owners(request, identity)))
    return _answer({"events": [_of_lago(taken, one) for one in taken.sent]})


@router.post("/metronome/v1/ingest")
async def metronome(request: Request) -> Response:
    """Events of customers."""
    await _take(request, await _sender(request), dialects.metronome_events)
    return Response(status_code=200)


@router.post("/orb/v1/ingest")
async def orb(request: Request) -> Response:
    """Events of customers."""
    await _take(request, await _sender(request), dialects.orb_events)
    return _answer({"validation_failed": []})


@router.post("/stripe/v1/billing/meter_events")
async def stripe_form(request: Request) -> Response:
    """A meter event, as a form."""
    translate = partial(dialects.stripe_form, key=_idempotency_key(request))
    taken = await _take(request, await _sender(request), translate, _FORM)
    [sent] = taken.sent
    times = {"created": _unix(taken.moment), "timestamp": _unix(datetime.fromisoformat(sent["timestamp"]))}
    return _answer({"object": "billing.meter_event", "livemode": True, **sent, **times})


@router.post("/stripe/v1/billing/meter_event_adjustments")
async def stripe_form_adjustment(request: Request) -> Response:
    """A meter event is cancelled, as a form."""
    taken = await _take(request, await _sender(request), dialects.stripe_form_adjustment, _FORM)
    return _answer({"object": "billing.meter_event_adjustment", "livemode": True, **taken.sent[0]})


@router.post("/stripe/v2/billing/meter_events")
async def stripe(request: Request) -> Response:
    """A meter event."""
    translate = partial(dialects.stripe_event, key=_idempotency_key(request))
    taken = await _take(request, await _sender(request), translate)
    created = {"object": "v2.billing.meter_event", "livemode": True, "created": utc_text(taken.moment)}
    return _answer(created | taken.sent[0])


@router.post("/stripe/v2/billing/meter_event_adjustments")
async def stripe_adjustment(request: Request) -> Response:
    """A meter event is cancelled."""
    taken = await _take(request, await _sender(request), dialects.stripe_adjustment)
    created = {"object": "v2.billing.meter_event_adjustment", "livemode": True, "created": utc_text(taken.moment)}
    return _answer(created | taken.sent[0])


@router.post("/stripe/v2/billing/meter_event_stream")
async def stripe_stream(request: Request) -> Response:
    """At most 100 meter events, by the token of a session or the API key."""
    translate = partial(dialects.stripe_stream, key=_idempotency_key(request))
    await _take(request, await _sender(request), translate)
    return _answer({})


@router.post("/stripe/v2/billing/meter_event_session")
async def stripe_session(request: Request) -> Response:
    """A token that sends events, and may do nothing else."""
    identity = await _sender(request)
    service = service_of(request)
    moment, lifetime = datetime.now(UTC).replace(microsecond=0), timedelta(seconds=ACCESS_SECONDS)
    # A session like others, whose refresh token nobody gets: it ends with its access token.
    nobodys = digest(new_refresh_token(identity.tenant))
    session = Identity(identity.tenant, identity.key_prefix, frozenset({"events:write"}), uuid.uuid4())
    named = (identity.key_prefix, session.family, nobodys, lifetime, lifetime)
    await service.database.call("open_session", identity.tenant, *named)
    return _answer(
        {
            "object": "v2.billing.meter_event_session",
            "id": f"mes_{session.family.hex}",
            "livemode": True,
            "authentication_token": service.tokens.issue(session),
            "created": utc_text(moment),
            "expires_at": utc_text(moment + lifetime),
        }
    )


async def _sender(request: Request) -> Identity:
    return await identify_client(request, "events:write")


async def _take(request: Request, identity: Identity, translate: Translate, *kinds: str) -> Taken:
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
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given and given not in kinds:
        raise Problem("unsupported-media-type", f"Send one of: {', '.join(kinds)}.")


def _owners(request: Request, identity: Identity) -> Owners:
    """Customers of the tenant's subscriptions, looked for in the billing events that are known and that wait."""
    service, tenant = service_of(request), identity.tenant

    def read() -> BillingLog:
        # The inbox is read before the lake: ingestion takes an event out of it only once the lake has it.
        requests = waiting_of(anyio.from_thread.run(service.database.call, "waiting_requests", tenant))
        lake = Lake(service.settings.lake_url)
        return read_log(lake, service.settings.landing, tenant, datetime.now(UTC), requests)

    return lambda subscriptions: service.owners.of(tenant, subscriptions, read)


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= _LONGEST_KEY and is_plain(key)):
        raise Problem("malformed-request", f"Idempotency-Key must have 1 to {_LONGEST_KEY} printable characters.")
    return key


def _of_lago(taken: Taken, sent: dict[str, Any]) -> dict[str, Any]:
    unique = "/".join((taken.tenant, sent["external_subscription_id"], sent["transaction_id"]))
    ours = {"lago_id": str(uuid.uuid5(NAMED, unique)), "lago_customer_id": None, "lago_subscription_id": None}
    return ours | sent | {"created_at": utc_text(taken.moment)}


def _unix(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


def _answer(document: dict[str, Any]) -> Response:
    return Response(dialects.json_text(document), 200, media_type=JSON)
