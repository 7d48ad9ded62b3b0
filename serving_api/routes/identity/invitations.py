"""Invitations to the session's tenant: made, listed, revoked; and accepted, by whoever got the mail."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import orjson
from anyio import to_thread
from fastapi import APIRouter, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER, answer_once
from serving_api.problems import Problem, unacceptable
from serving_api.responses import refuse_parameters
from serving_api.routes.identity.listing import listed
from serving_api.routes.identity.people_schemas import (
    Acceptance,
    Invitation,
    InvitationPage,
    NewInvitationBody,
    UserQuery,
)
from serving_api.routes.identity.sessions import claimed_tenant
from serving_api.routes.identity.sign_in import open_user_session
from serving_api.routes.identity.users import refuse_roles
from serving_api.schemas import Session
from serving_api.security.authentication import requires, wrong_credentials
from serving_api.security.tokens import Identity, refused_token
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.events import refuse_payment_number
from valueverse.platform.access.api_keys import digest
from valueverse.services.people.invitations import LIFETIME, new_invitation, new_user_id
from valueverse.services.people.passwords import check_password, hash_password

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving_api.database import Transaction
    from serving_api.idempotency import Repeatable

router = APIRouter(prefix="/v1/invitations", tags=["people"])
_Administrator = Annotated[Identity, Depends(requires("admin"))]


@router.get("", response_model=InvitationPage, summary="List invitations")
async def list_invitations(
    request: Request, query: Annotated[UserQuery, Query()], identity: _Administrator
) -> Response:
    """Every invitation of the tenant, the oldest first; never a token."""
    return await listed(request, identity, query, ("invitations", None), "invitation", _shown)


@router.post(
    "",
    response_model=Invitation,
    status_code=201,
    summary="Invite a person",
    openapi_extra={"parameters": [PARAMETER]},
)
async def create_invitation(request: Request, given: NewInvitationBody, identity: _Administrator) -> Response:
    """A link that is good once, for 7 days, is mailed afterwards: `mail` says what has become of it. Open invitations
    to the same address are revoked.
    """
    refuse_parameters(request)
    refuse_roles(identity, given.role)
    tenant, service = identity.tenant, service_of(request)

    async def write(transaction: Transaction, again: Repeatable) -> Response:
        make = partial(new_invitation, service.settings, tenant, given.email, given.role)
        made = await to_thread.run_sync(make)
        asked = (made.key, made.email, made.role, made.token_hash, LIFETIME)
        sent_by = (identity.key_prefix, request.scope["exchange"].request_id)
        (row,) = await transaction.call("create_invitation", tenant, identity.family, *asked, *sent_by)
        _check(row["create_invitation"])
        (stored,) = await transaction.call("invitations", tenant, made.key, None, None, 1)
        return await again.end(transaction, tenant, 201, orjson.dumps(_shown(stored)))

    try:
        return await answer_once(request, tenant, write)
    except RefusalError as refusal:
        raise unacceptable(refusal) from refusal


@router.delete("/{invitation}", status_code=204, response_class=Response, summary="Revoke an invitation")
async def revoke_invitation(
    request: Request,
    invitation: Annotated[str, Path(pattern="^inv_[0-9a-f]{24}$", examples=["inv_4f1d3c2b5a697887f6e5d4c3"])],
    identity: _Administrator,
) -> Response:
    """Its link opens nothing from now on. Revoking it again changes nothing."""
    refuse_parameters(request)
    asked = (identity.family, invitation, identity.key_prefix, request.scope["exchange"].request_id)
    (row,) = await service_of(request).database.call("revoke_invitation", identity.tenant, *asked)
    _check(row["revoke_invitation"])
    return Response(status_code=204)


@router.post("/accept", response_model=Session, summary="Accept an invitation")
async def accept_invitation(request: Request, given: Acceptance) -> Response:
    """The token of the mail's link becomes a person with this password, and a session. It is good once."""
    refuse_parameters(request)
    try:
        refuse_payment_number(given.name or "", "body.name")
    except RefusalError as refusal:
        raise unacceptable(refusal) from refusal
    service, tenant, hashed = service_of(request), await claimed_tenant(request, given.token), digest(given.token)
    (row,) = await service.database.call("invited_email", tenant, hashed)
    if row["invited_email"] is None:
        raise await wrong_credentials(request, "invitation refused", None, _GONE)
    try:
        check_password(given.password, (row["invited_email"], tenant, given.name or ""), "body.password")
    except RefusalError as refusal:
        raise unacceptable(refusal) from refusal
    password, user = await service.hashing.work(lambda: hash_password(given.password)), new_user_id()
    sent_by = request.scope["exchange"].request_id
    (done,) = await service.database.call("accept_invitation", tenant, hashed, user, given.name, password, sent_by)
    if not done["accept_invitation"]:
        raise await wrong_credentials(request, "invitation refused", None, _GONE)
    return await open_user_session(request, tenant, user)


_GONE = "The invitation is not valid: it was accepted or revoked, has expired, or its link is incomplete."


def _check(outcome: str) -> None:
    if outcome == "ended":
        raise refused_token()
    if outcome == "known":
        raise Problem("conflict", "Who has this address is a user already.")
    if outcome == "unknown":
        raise Problem("not-found", "No open invitation of yours has this id.")


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    ended = [name for name in ("accepted", "revoked") if row[f"{name}_at"] is not None]
    expired = ["expired"] if row["expires_at"] <= datetime.now(UTC) else []
    state = (*ended, *expired, "open")[0]
    named = {name: row[name] for name in ("email", "role", "mail", "invited_by")}
    instants = {name: utc_text(row[name]) for name in ("created_at", "expires_at")}
    return {"id": row["invitation"], **named, "state": state, **instants}
