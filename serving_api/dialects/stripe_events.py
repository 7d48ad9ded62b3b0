"""Meter events as Stripe's clients send them.

Some of them take a whole base address, that for Node a host alone: the routes are below ``/compat/stripe`` and, with
the paths that Stripe gives them, at the root, where none of ours is.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving_api.dialects.ingest import answer, sender_of, take
from serving_api.problems import Problem
from serving_api.schemas import is_plain
from serving_api.security.tokens import ACCESS_SECONDS, Identity
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.landing import dialects
from valueverse.platform.access.api_keys import digest
from valueverse.platform.access.opaque_tokens import REFRESH, new_token

_FORM = "application/x-www-form-urlencoded"
_LONGEST_KEY = 255


async def stripe_form(request: Request) -> Response:
    """A meter event, as a form."""
    translate = partial(dialects.stripe_form, key=_idempotency_key(request))
    taken = await take(request, await sender_of(request), translate, _FORM)
    [sent] = taken.sent
    times = {"created": _unix(taken.moment), "timestamp": _unix(datetime.fromisoformat(sent["timestamp"]))}
    return answer({"object": "billing.meter_event", "livemode": True, **sent, **times})


async def stripe_form_adjustment(request: Request) -> Response:
    """A meter event is cancelled, as a form."""
    taken = await take(request, await sender_of(request), dialects.stripe_form_adjustment, _FORM)
    return answer({"object": "billing.meter_event_adjustment", "livemode": True, **taken.sent[0]})


async def stripe(request: Request) -> Response:
    """A meter event."""
    translate = partial(dialects.stripe_event, key=_idempotency_key(request))
    taken = await take(request, await sender_of(request), translate)
    created = {"object": "v2.billing.meter_event", "livemode": True, "created": utc_text(taken.moment)}
    return answer(created | taken.sent[0])


async def stripe_adjustment(request: Request) -> Response:
    """A meter event is cancelled."""
    taken = await take(request, await sender_of(request), dialects.stripe_adjustment)
    created = {"object": "v2.billing.meter_event_adjustment", "livemode": True, "created": utc_text(taken.moment)}
    return answer(created | taken.sent[0])


async def stripe_stream(request: Request) -> Response:
    """At most 100 meter events, by the token of a session or the API key."""
    translate = partial(dialects.stripe_stream, key=_idempotency_key(request))
    await take(request, await sender_of(request), translate)
    return answer({})


async def stripe_session(request: Request) -> Response:
    """A token that sends events, and may do nothing else."""
    identity = await sender_of(request)
    service = service_of(request)
    moment, lifetime = datetime.now(UTC).replace(microsecond=0), timedelta(seconds=ACCESS_SECONDS)
    # A session like others, whose refresh token nobody gets: it ends with its access token.
    nobodys = digest(new_token(identity.tenant, REFRESH))
    session = Identity(identity.tenant, identity.key_prefix, frozenset({"events:write"}), uuid.uuid4())
    named = (identity.key_prefix, session.family, nobodys, lifetime, lifetime, request.scope["exchange"].request_id)
    await service.database.call("open_session", identity.tenant, *named)
    return answer(
        {
            "object": "v2.billing.meter_event_session",
            "id": f"mes_{session.family.hex}",
            "livemode": True,
            "authentication_token": service.tokens.issue(session),
            "created": utc_text(moment),
            "expires_at": utc_text(moment + lifetime),
        }
    )


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= _LONGEST_KEY and is_plain(key)):
        raise Problem("malformed-request", f"Idempotency-Key must have 1 to {_LONGEST_KEY} printable characters.")
    return key


def _unix(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


_ROUTES = {
    "/v1/billing/meter_events": stripe_form,
    "/v1/billing/meter_event_adjustments": stripe_form_adjustment,
    "/v2/billing/meter_events": stripe,
    "/v2/billing/meter_event_adjustments": stripe_adjustment,
    "/v2/billing/meter_event_stream": stripe_stream,
    "/v2/billing/meter_event_session": stripe_session,
}
router = APIRouter(include_in_schema=False)
# Each by itself, and no router below another: whoever asks for all routes of the API reads their addresses.
for _place in ("/compat/stripe", ""):
    for _path, _endpoint in _ROUTES.items():
        router.post(_place + _path)(_endpoint)
