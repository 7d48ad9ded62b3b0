"""API keys of the session's tenant: listed, made, replaced with an overlap, revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER, answer_once
from serving_api.problems import Problem
from serving_api.responses import refuse_parameters
from serving_api.routes.identity.listing import listed
from serving_api.routes.identity.schemas import (
    ApiKeyPage,
    IssuedKey,
    KeyQuery,
    NewKey,
    RotatedKey,
    Rotation,
)
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity, refused_token
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.platform.access.api_keys import digest, new_api_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving_api.database import Transaction
    from serving_api.idempotency import Repeatable

router = APIRouter(prefix="/v1/api-keys", tags=["sessions"])
_Administrator = Annotated[Identity, Depends(requires("admin"))]
_Prefix = Annotated[str, Path(pattern="^[a-z0-9]{12}$", description="Of the key.", examples=["k3x9q2m4ab7c"])]


@router.get("", response_model=ApiKeyPage, summary="List API keys")
async def list_keys(request: Request, query: Annotated[KeyQuery, Query()], identity: _Administrator) -> Response:
    """Every key of the tenant, also revoked and expired ones, the oldest first; never a secret."""
    return await listed(request, identity, query, ("api_keys",), "prefix", _shown)


@router.post(
    "",
    response_model=IssuedKey,
    status_code=201,
    summary="Make an API key",
    openapi_extra={"parameters": [PARAMETER]},
)
async def create_key(request: Request, given: NewKey, identity: _Administrator) -> Response:
    """The answer shows the key this once: it is stored as a hash. Nobody without `admin` makes keys, so none can do
    more than its maker.
    """
    refuse_parameters(request)
    prefix, key = new_api_key()
    days = given.expires_in_days
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    asked = (prefix, digest(key), sorted(set(given.scopes)), given.name, expires_at)
    return await _issue(request, identity, key, "create_api_key", *asked)


@router.post(
    "/{prefix}/rotate",
    response_model=RotatedKey,
    status_code=201,
    summary="Replace an API key",
    openapi_extra={"parameters": [PARAMETER]},
)
async def rotate_key(request: Request, prefix: _Prefix, given: Rotation, identity: _Administrator) -> Response:
    """A new key with the same name, scopes and expiry; the old one goes on for `overlap_seconds`, so that whoever uses
    it has time to change.
    """
    refuse_parameters(request)
    new_prefix, key = new_api_key()
    asked = (prefix, new_prefix, digest(key), timedelta(seconds=given.overlap_seconds))
    return await _issue(request, identity, key, "rotate_api_key", *asked)


@router.delete("/{prefix}", status_code=204, response_class=Response, summary="Revoke an API key")
async def revoke_key(request: Request, prefix: _Prefix, identity: _Administrator) -> Response:
    """It opens nothing from now on, and its sessions cannot be refreshed. Revoking it again changes nothing."""
    refuse_parameters(request)
    sent_by = (identity.key_prefix, request.scope["exchange"].request_id)
    rows = await service_of(request).database.call("revoke_api_key", identity.tenant, identity.family, prefix, *sent_by)
    _check(rows[0]["revoke_api_key"])
    return Response(status_code=204)


async def _issue(request: Request, identity: Identity, key: str, function: str, *asked: object) -> Response:
    tenant = identity.tenant

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        sent_by = (identity.key_prefix, request.scope["exchange"].request_id)
        rows = await transaction.call(function, tenant, identity.family, *asked, *sent_by)
        made = dict(rows[0]) if rows else {"outcome": "ended"}
        _check(made.pop("outcome", ""))
        if replaced_until := made.pop("replaced_until", None):
            made |= {"replaces": asked[0], "replaced_until": utc_text(replaced_until)}
        shown = _shown(made | {"revoked_at": None})
        bodies = [orjson.dumps(shown | {"key": text}) for text in (None, key)]
        return await again.end(transaction, tenant, 201, *bodies)

    return await answer_once(request, tenant, write)


def _check(outcome: str) -> None:
    if outcome == "ended":
        raise refused_token()
    if outcome == "unknown":
        raise Problem("not-found", "No valid key of yours has this prefix.")


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    instants = {name: row[name] and utc_text(row[name]) for name in ("created_at", "expires_at", "revoked_at")}
    return {**row, **instants}
