"""Endpoints of the session's tenant: made, listed, changed, given another secret, tried, disabled, enabled."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import anyio.to_thread
import orjson
from fastapi import APIRouter, Body, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER, Repeatable, answer_once
from serving_api.problems import Problem
from serving_api.responses import IF_MATCH, page, refuse_parameters, refuse_repeated, require_match, respond, tag_of
from serving_api.routes.webhooks.schemas import (
    Endpoint,
    EndpointChange,
    EndpointPage,
    EndpointQuery,
    EndpointSecret,
    NewEndpoint,
    SecretRotation,
    Trial,
)
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity, refused_token
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.services.webhooks import endpoints as webhooks
from valueverse.services.webhooks.signing import signing_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving_api.database import Transaction

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhooks"])
_Reader = Annotated[Identity, Depends(requires("billing:read"))]
_Administrator = Annotated[Identity, Depends(requires("admin"))]
_Name = Annotated[
    str, Path(pattern="^we_[0-9a-f]{24}$", description="Of the endpoint.", examples=["we_0123456789abcdef01234567"])
]
_DAY = SecretRotation()
_REPEATABLE = {"parameters": [PARAMETER]}
_PLACES = {"bad_webhook_url": "body.url", "bad_webhook_type": "body.types"}


@router.get("", response_model=EndpointPage, summary="List webhook endpoints")
async def list_endpoints(request: Request, query: Annotated[EndpointQuery, Query()], identity: _Reader) -> Response:
    """Every endpoint of the tenant, also disabled ones, the oldest first; never a secret."""
    refuse_repeated(request)
    service = service_of(request)
    scope = ("webhook_endpoints", identity.tenant)
    created, name = service.cursors.read(scope, query.cursor, 2)
    place = (None if created is None else datetime.fromisoformat(created), name)
    found = await service.database.call("webhook_endpoints", identity.tenant, None, *place, query.limit + 1)
    cursor = None
    if len(found) > query.limit:
        last = found[query.limit - 1]
        cursor = service.cursors.make(scope, [last["created_at"].isoformat(), last["endpoint"]])
    return respond(request, page([_shown(row) for row in found], query.limit, cursor))


@router.post(
    "", response_model=EndpointSecret, status_code=201, summary="Make a webhook endpoint", openapi_extra=_REPEATABLE
)
async def create_endpoint(request: Request, given: NewEndpoint, identity: _Administrator) -> Response:
    """The answer shows its secret this once: it is stored nowhere. At most 20 endpoints are not disabled at a time."""
    refuse_parameters(request)
    types, name = _checked(request, given.url, given.types), webhooks.new_name()

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        asked = (identity.family, name, given.url, types, webhooks.MOST)
        await _write(transaction, request, identity, "add_webhook_endpoint", *asked)
        return await _with_secret(transaction, request, identity, name, again)

    return await answer_once(request, identity.tenant, write)


@router.get("/{endpoint}", response_model=Endpoint, summary="A webhook endpoint")
async def get_endpoint(request: Request, endpoint: _Name, identity: _Reader) -> Response:
    """Without its secret."""
    refuse_parameters(request)
    found = await service_of(request).database.call("webhook_endpoints", identity.tenant, endpoint, None, None, 1)
    return respond(request, _document(_one(found)))


@router.patch(
    "/{endpoint}",
    response_model=Endpoint,
    summary="Change a webhook endpoint",
    openapi_extra={"parameters": [IF_MATCH, PARAMETER]},
)
async def change_endpoint(
    request: Request, endpoint: _Name, given: EndpointChange, identity: _Administrator
) -> Response:
    """Its address or types, if `If-Match` names what is there now. What waits goes to the new address."""
    refuse_parameters(request)
    types = _checked(request, given.url, given.types)

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        require_match(request, _document(await _found(transaction, identity, endpoint)))
        await _change(transaction, request, identity, endpoint, given.url, types)
        stored = _document(await _found(transaction, identity, endpoint))
        return await again.end(transaction, identity.tenant, 200, stored)

    answered = await answer_once(request, identity.tenant, write)
    answered.headers["ETag"] = tag_of(bytes(answered.body))
    return answered


@router.post(
    "/{endpoint}/rotate",
    response_model=EndpointSecret,
    status_code=201,
    summary="Replace a webhook endpoint's secret",
    openapi_extra=_REPEATABLE,
)
async def rotate_secret(
    request: Request, endpoint: _Name, identity: _Administrator, given: Annotated[SecretRotation, Body()] = _DAY
) -> Response:
    """A new secret, shown this once; the one before signs beside it for `overlap_seconds`, so that whoever verifies has
    time to change.
    """
    refuse_parameters(request)

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        overlap = timedelta(seconds=given.overlap_seconds)
        await _change(transaction, request, identity, endpoint, overlap=overlap)
        return await _with_secret(transaction, request, identity, endpoint, again)

    return await answer_once(request, identity.tenant, write)


@router.post(
    "/{endpoint}/disable", response_model=Endpoint, summary="Disable a webhook endpoint", openapi_extra=_REPEATABLE
)
async def disable_endpoint(request: Request, endpoint: _Name, identity: _Administrator) -> Response:
    """Nothing more is sent to it, and what waits for it is dead. Disabling it again changes nothing."""
    return await _switch(request, identity, endpoint, webhooks.DISABLED)


@router.post(
    "/{endpoint}/enable", response_model=Endpoint, summary="Enable a webhook endpoint", openapi_extra=_REPEATABLE
)
async def enable_endpoint(request: Request, endpoint: _Name, identity: _Administrator) -> Response:
    """It is notified again, of what happens from now on; replay what it missed."""
    return await _switch(request, identity, endpoint, "")


@router.post(
    "/{endpoint}/test",
    response_model=Trial,
    status_code=202,
    summary="Try a webhook endpoint",
    openapi_extra=_REPEATABLE,
)
async def send_test(request: Request, endpoint: _Name, identity: _Administrator) -> Response:
    """Sends it a notification of the type `webhook.test`, which is about nothing."""
    refuse_parameters(request)

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        if (await _found(transaction, identity, endpoint))["disabled_at"] is not None:
            raise Problem("conflict", "The endpoint is disabled: enable it first.")
        asked = (identity.family, endpoint, *webhooks.trial())
        (sent,) = await _write(transaction, request, identity, "send_webhook_test", *asked)
        body = orjson.dumps({"delivery": sent["delivery"]})
        return await again.end(transaction, identity.tenant, 202, body)

    return await answer_once(request, identity.tenant, write)


async def _switch(request: Request, identity: Identity, endpoint: str, disabled: str) -> Response:
    refuse_parameters(request)

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        await _change(transaction, request, identity, endpoint, disabled=disabled)
        stored = _document(await _found(transaction, identity, endpoint))
        return await again.end(transaction, identity.tenant, 200, stored)

    return await answer_once(request, identity.tenant, write)


async def _change(
    transaction: Transaction,
    request: Request,
    identity: Identity,
    endpoint: str,
    url: str | None = None,
    types: list[str] | None = None,
    *,
    disabled: str | None = None,
    overlap: timedelta | None = None,
) -> None:
    asked = (identity.family, endpoint, url, types, disabled, overlap, webhooks.MOST)
    await _write(transaction, request, identity, "change_webhook_endpoint", *asked)


async def _write(
    transaction: Transaction, request: Request, identity: Identity, function: str, *asked: object
) -> list[Any]:
    """Rows of a function that changes something.

    Raises:
        Problem: ``invalid-token``: the session has ended; ``not-found``; ``conflict``: there are too many endpoints.
    """
    sent_by = (identity.key_prefix, request.scope["exchange"].request_id)
    rows = await transaction.call(function, identity.tenant, *asked, *sent_by)
    outcome = rows[0][0]
    if outcome == "ended":
        raise refused_token()
    if outcome == "unknown":
        raise _unknown()
    if outcome == "full":
        raise Problem("conflict", webhooks.refused(outcome, "").message)
    return rows


async def _with_secret(
    transaction: Transaction, request: Request, identity: Identity, endpoint: str, again: Repeatable
) -> Response:
    """The answer with the endpoint's newest secret, which is stored without it."""
    row = await _found(transaction, identity, endpoint)
    settings = service_of(request).settings
    derive = partial(signing_secret, settings, identity.tenant, endpoint, row["secret_version"])
    secret = await anyio.to_thread.run_sync(derive)
    bodies = [orjson.dumps(_shown(row) | {"secret": text}) for text in (None, secret)]
    return await again.end(transaction, identity.tenant, 201, *bodies)


def _checked(request: Request, url: str | None, types: list[str] | None) -> list[str] | None:
    """The types in order, each once.

    Raises:
        Problem: ``invalid-request``.
    """
    try:
        return webhooks.check_endpoint(service_of(request).settings, url, types)
    except RefusalError as refusal:
        place = {"path": _PLACES[refusal.code], "message": refusal.message}
        raise Problem("invalid-request", "One or more values are not acceptable.", errors=[place]) from refusal


async def _found(transaction: Transaction, identity: Identity, endpoint: str) -> Mapping[str, Any]:
    return _one(await transaction.call("webhook_endpoints", identity.tenant, endpoint, None, None, 1))


def _one(rows: list[Any]) -> Mapping[str, Any]:
    if not rows:
        raise _unknown()
    row: Mapping[str, Any] = rows[0]
    return row


def _unknown() -> Problem:
    return Problem("not-found", "No webhook endpoint of yours has this name.")


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    instants = {name: row[name] and utc_text(row[name]) for name in ("previous_until", "disabled_at", "created_at")}
    return {**row, **instants}


def _document(row: Mapping[str, Any]) -> bytes:
    return orjson.dumps(_shown(row))
