"""People of the session's tenant: listed, given another role, disabled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER, answer_once
from serving_api.problems import Problem
from serving_api.responses import refuse_parameters, require_match, respond, tag_of
from serving_api.routes.identity.listing import listed
from serving_api.routes.identity.people_schemas import User, UserChange, UserPage, UserQuery
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity, refused_token
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.platform.access.people_roles import may_manage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving_api.database import Transaction
    from serving_api.idempotency import Repeatable

router = APIRouter(prefix="/v1/users", tags=["people"])
_Administrator = Annotated[Identity, Depends(requires("admin"))]
_User = Annotated[
    str, Path(pattern="^usr_[0-9a-f]{24}$", description="Id of the person.", examples=["usr_4f1d3c2b5a697887f6e5d4c3"])
]
_IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "ETag of the person as you read it.",
    "schema": {"type": "string"},
    "example": '"2f0e9c6f6a4d1b8f0c7b6a5d4e3f2a1b"',
}


@router.get("", response_model=UserPage, summary="List people")
async def list_users(request: Request, query: Annotated[UserQuery, Query()], identity: _Administrator) -> Response:
    """Everybody who signs in or did, the oldest first."""
    return await listed(request, identity, query, ("users", None), "user_id", _shown)


@router.get("/{user}", response_model=User, summary="A person")
async def get_user(request: Request, user: _User, identity: _Administrator) -> Response:
    """With the ETag that a change needs."""
    refuse_parameters(request)
    rows = await service_of(request).database.call("users", identity.tenant, user, None, None, 1)
    return respond(request, orjson.dumps(_shown(_known(rows))))


@router.patch(
    "/{user}", response_model=User, summary="Give a person another role", openapi_extra={"parameters": [_IF_MATCH]}
)
async def change_user(request: Request, user: _User, given: UserChange, identity: _Administrator) -> Response:
    """It holds from the person's next request on. Owners are made and changed by owners alone, and one always stays."""
    refuse_parameters(request)
    async with service_of(request).database.transaction() as transaction:
        row = _known(await transaction.call("users", identity.tenant, user, None, None, 1))
        require_match(request, orjson.dumps(_shown(row)))
        body = await _change(request, transaction, identity, row, given.role)
    return Response(body, 200, {"ETag": tag_of(body)}, "application/json")


@router.post(
    "/{user}/disable", response_model=User, summary="Disable a person", openapi_extra={"parameters": [PARAMETER]}
)
async def disable_user(request: Request, user: _User, identity: _Administrator) -> Response:
    """Sessions of theirs end at once, and they never sign in again; invite them again if they come back."""
    refuse_parameters(request)
    tenant = identity.tenant

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        row = _known(await transaction.call("users", tenant, user, None, None, 1))
        body = orjson.dumps(_shown(row))
        if row["disabled_at"] is None:
            body = await _change(request, transaction, identity, row, None)
        return await again.end(transaction, tenant, 200, body)

    return await answer_once(request, tenant, write)


def refuse_roles(identity: Identity, *roles: str) -> None:
    """Refuse whoever may not manage people in these roles.

    Raises:
        Problem: ``insufficient-role``.
    """
    if not may_manage(identity.role, *roles):
        raise Problem("insufficient-role", "Owners alone invite, change and disable owners, and set the provider.")


async def _change(
    request: Request, transaction: Transaction, identity: Identity, row: Mapping[str, Any], role: str | None
) -> bytes:
    """The person with another role, or disabled (None), as it is then."""
    refuse_roles(identity, row["role"], *([role] if role else []))
    tenant, user = identity.tenant, row["user_id"]
    asked = (user, row["role"], role, identity.key_prefix, request.scope["exchange"].request_id)
    (answer,) = await transaction.call("change_user", tenant, identity.family, *asked)
    outcome = answer["change_user"]
    if outcome == "ended":
        raise refused_token()
    if outcome == "last_owner":
        raise Problem("conflict", "The tenant has no other owner: make somebody else an owner first.")
    if outcome == "moved":
        raise Problem("conflict", "The person is disabled, or was changed at this moment.")
    return orjson.dumps(_shown(_known(await transaction.call("users", tenant, user, None, None, 1))))


def _known(rows: list[Any]) -> Mapping[str, Any]:
    if not rows:
        raise Problem("not-found", "Nobody of yours has this id.")
    row: Mapping[str, Any] = rows[0]
    return row


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: row[name] for name in ("email", "name", "role")}
    instants = {name: row[name] and utc_text(row[name]) for name in ("created_at", "disabled_at")}
    return {"id": row["user_id"], **named, **instants}
