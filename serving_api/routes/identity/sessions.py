"""Sessions: an API key opens one, a refresh token goes on with it, DELETE ends it."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import orjson
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from serving_api.problems import Problem
from serving_api.responses import JSON, require_media
from serving_api.schemas import RefreshRequest, Session
from serving_api.security.authentication import (
    address_of,
    bearer,
    identity_of_key,
    look,
    requires,
    spend_request,
    wrong_credentials,
)
from serving_api.security.tokens import ACCESS_SECONDS, Identity
from serving_api.service import service_of
from valueverse.platform.access.api_keys import digest
from valueverse.platform.access.opaque_tokens import REFRESH, new_token, tenant_of_token

if TYPE_CHECKING:
    from serving_api.service import Service

IDLE = timedelta(minutes=30)
LIFETIME = timedelta(hours=12)

router = APIRouter(prefix="/v1", tags=["sessions"])


@router.post("/sessions", response_model=Session, summary="Sign in with an API key")
async def open_session(request: Request) -> Response:
    """Send the API key as `Authorization: Bearer vv_<prefix>_<secret>`; or as the body, `{"api_key": …}`."""
    service = service_of(request)
    key = bearer(request) or await _key_in_body(request)
    identity = await identity_of_key(request, key)
    tenant, prefix = identity.tenant, identity.key_prefix
    refresh = new_token(tenant, REFRESH)
    named = (prefix, identity.family, digest(refresh), IDLE, LIFETIME, request.scope["exchange"].request_id)
    await service.database.call("open_session", tenant, *named)
    service.log.info("session opened", tenant=tenant, key=prefix, family=str(identity.family))
    return answered_session(service, identity, refresh)


@router.post("/sessions/refresh", response_model=Session, summary="Exchange a refresh token")
async def refresh_session(request: Request, given: RefreshRequest) -> Response:
    """Each refresh token is good once. One that comes a second time ends its session: somebody has a copy."""
    service = service_of(request)
    tenant = await claimed_tenant(request, given.refresh_token)
    refresh = new_token(tenant, REFRESH)
    arrived = request.scope["exchange"].arrived

    def waited() -> timedelta:
        return timedelta(seconds=time.monotonic() - arrived)

    rows = await service.database.call(
        "refresh_session",
        tenant,
        digest(given.refresh_token),
        digest(refresh),
        IDLE,
        waited,
        request.scope["exchange"].request_id,
    )
    answer = rows[0]
    if answer["outcome"] != "rotated":
        if answer["outcome"] == "reused":
            service.log.warning("refresh token reused, session ended", tenant=tenant, family=str(answer["family"]))
        raise await wrong_credentials(request, f"refresh refused: {answer['outcome']}", answer["key_prefix"])
    scopes = frozenset(answer["scopes"])
    identity = Identity(tenant, answer["key_prefix"], scopes, answer["family"], answer["customer"])
    await spend_request(request, *identity.owner)
    return answered_session(service, identity, refresh)


@router.delete("/sessions", status_code=204, response_class=Response, summary="End the session")
async def close_session(
    request: Request, identity: Annotated[Identity, Depends(requires(None, portal=True))]
) -> Response:
    """Its refresh tokens end at once; its access token within the five minutes it has left."""
    service = service_of(request)
    request_id = request.scope["exchange"].request_id
    await service.database.call("close_session", identity.tenant, identity.family, request_id)
    service.log.info("session closed", tenant=identity.tenant, family=str(identity.family))
    return Response(status_code=204)


async def jwks(request: Request) -> Response:
    """The public keys that verify access tokens (RFC 7517)."""
    body = orjson.dumps(service_of(request).ring.jwks())
    return Response(body, 200, {"Cache-Control": "public, max-age=300"}, "application/json")


async def claimed_tenant(request: Request, token: str) -> str:
    """The tenant that an opaque token claims to be of, with a request left, as the client's address has one.

    Raises:
        Problem: ``invalid-credentials``, ``rate-limited``.
    """
    await look(request, address_of(request))
    tenant = tenant_of_token(token)
    if tenant is None:
        raise await wrong_credentials(request, "token refused", None)
    # Only looked at: whoever writes a tenant into a false token must not use up that tenant's requests.
    await look(request, f"tenant:{tenant}")
    return tenant


def answered_session(service: Service, identity: Identity, refresh: str) -> Response:
    """The answer to a sign-in or refresh."""
    document = {
        "access_token": service.tokens.issue(identity),
        "refresh_token": refresh,
        "token_type": "Bearer",
        "expires_in": ACCESS_SECONDS,
    }
    return Response(orjson.dumps(document), 200, {"Pragma": "no-cache"}, "application/json")


async def _key_in_body(request: Request) -> str | None:
    body = await request.body()
    if not body:
        return None
    require_media(request, JSON)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem("malformed-request", "The body is not JSON.") from error
    key = document.get("api_key") if isinstance(document, dict) else None
    if not isinstance(key, str):
        problem_place = {"path": "body.api_key", "message": "an API key as text"}
        raise Problem(
            "invalid-request",
            "The body needs api_key, or leave it out and send the key as a header.",
            errors=[problem_place],
        )
    return key
