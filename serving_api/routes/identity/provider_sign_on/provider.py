"""The tenant's identity provider: shown, set, removed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import orjson
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from serving_api.problems import Problem, unacceptable
from serving_api.responses import IF_MATCH, refuse_parameters, require_match, respond, tag_of
from serving_api.routes.identity.provider_sign_on.schemas import IdentityProvider, NewIdentityProvider
from serving_api.routes.identity.sealing import sealing
from serving_api.routes.identity.users import refuse_roles
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity, refused_token
from serving_api.service import service_of
from valueverse.errors import RefusalError
from valueverse.services.people.identity_providers import ChangedBy, drop_provider, shown, store_provider
from valueverse.services.people.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

router = APIRouter(prefix="/v1/identity-provider", tags=["people"])
_Administrator = Annotated[Identity, Depends(requires("admin"))]
_MATCH = {"parameters": [IF_MATCH | {"required": False, "description": "ETag of the provider that it replaces."}]}


@router.get("", response_model=IdentityProvider, summary="The identity provider")
async def get_provider(request: Request, identity: _Administrator) -> Response:
    """By which people of the tenant sign in; never its secret."""
    refuse_parameters(request)
    row = await _stored(request, identity)
    if row is None:
        raise _none()
    return respond(request, _document(request, identity, row))


@router.put("", response_model=IdentityProvider, summary="Set the identity provider", openapi_extra=_MATCH)
async def put_provider(request: Request, given: NewIdentityProvider, identity: _Administrator) -> Response:
    """An owner sets it, once it has answered with its documents: whoever it names signs in as who has that address.
    With another issuer or client everybody is found by address again. A provider that is there is replaced with
    `If-Match`.
    """
    refuse_parameters(request)
    refuse_roles(identity, "owner")
    service, tenant = service_of(request), identity.tenant
    before = await _before(request, identity)
    try:
        await service.single_sign_on.client.check(tenant, given.issuer)
    except RefusalError as refusal:
        raise unacceptable(refusal) from refusal
    made = Provider(tenant, given.issuer, given.client_id, given.client_secret)
    await _write(request, partial(store_provider, service.settings, made, _by(request, identity), before))
    row = await _stored(request, identity)
    if row is None:
        raise _moved()
    body = _document(request, identity, row)
    return Response(body, 200, {"ETag": tag_of(body)}, "application/json")


@router.delete("", status_code=204, response_class=Response, summary="Remove the identity provider",
               openapi_extra={"parameters": [IF_MATCH]})  # fmt: skip
async def delete_provider(request: Request, identity: _Administrator) -> Response:
    """Nobody signs in by it from now on; who has a password goes on with it. Sessions stay."""
    refuse_parameters(request)
    refuse_roles(identity, "owner")
    before = await _before(request, identity)
    if before is None:
        raise _none()
    drop = partial(drop_provider, service_of(request).settings, identity.tenant, _by(request, identity), before)
    await _write(request, drop)
    return Response(status_code=204)


async def _before(request: Request, identity: Identity) -> str | None:
    """The name of the provider that a change is of; None: there is none.

    Raises:
        Problem: ``precondition-required``, ``precondition-failed``.
    """
    row = await _stored(request, identity)
    if row is None:
        if "if-match" in request.headers:
            raise Problem("precondition-failed", "There is no identity provider.")
        return None
    require_match(request, _document(request, identity, row))
    name: str = row["provider"]
    return name


async def _write(request: Request, work: Callable[[], None]) -> None:
    try:
        await sealing(request, work)
    except RefusalError as refusal:
        if refusal.code == "session_ended":
            raise refused_token() from refusal
        raise _moved() if refusal.code == "provider_moved" else refusal from refusal


async def _stored(request: Request, identity: Identity) -> Mapping[str, Any] | None:
    found = await service_of(request).database.call("identity_provider", identity.tenant)
    return found[0] if found else None


def _document(request: Request, identity: Identity, row: Mapping[str, Any]) -> bytes:
    return orjson.dumps(shown(service_of(request).settings, identity.tenant, row))


def _by(request: Request, identity: Identity) -> ChangedBy:
    return ChangedBy(identity.family, identity.key_prefix, request.scope["exchange"].request_id)


def _none() -> Problem:
    return Problem("not-found", "The tenant has no identity provider.")


def _moved() -> Problem:
    return Problem("precondition-failed", "The identity provider was changed at this moment: read it again.")
