"""Portal sessions: the tenant makes a link for one of its customers, who signs in with it once."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

import orjson
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from serving_api.idempotency import PARAMETER, answer_once
from serving_api.log_reads import of_log
from serving_api.problems import Problem
from serving_api.responses import refuse_parameters
from serving_api.routes.identity.schemas import NewPortalLink, PortalExchange, PortalLink
from serving_api.routes.identity.sessions import IDLE, LIFETIME, answered_session, claimed_tenant
from serving_api.schemas import Session
from serving_api.security.authentication import requires, spend_request, wrong_credentials
from serving_api.security.tokens import Identity, refused_token
from serving_api.service import service_of
from valueverse.dates import utc_text
from valueverse.platform.access.api_keys import digest
from valueverse.platform.access.opaque_tokens import PORTAL_LINK, REFRESH, new_token
from valueverse.services.subscriptions.timelines import stated_customer, timeline_of

if TYPE_CHECKING:
    from serving_api.database import Transaction
    from serving_api.idempotency import Repeatable

router = APIRouter(prefix="/v1/portal-sessions", tags=["sessions"])


@router.post(
    "",
    response_model=PortalLink,
    status_code=201,
    summary="Make a link to the portal",
    openapi_extra={"parameters": [PARAMETER]},
)
async def create_link(
    request: Request, given: NewPortalLink, identity: Annotated[Identity, Depends(requires("billing:write"))]
) -> Response:
    """A token with which one customer signs in, once. It is shown this once, and stored as a hash."""
    refuse_parameters(request)
    try:
        return await answer_once(request, identity.tenant, partial(_made, request, given, identity))
    except _UnrecordedError:
        found = await of_log(request, identity.tenant, lambda log, _: stated_customer(timeline_of(log), given.customer))
        if found is None:
            place = {"path": "body.customer", "message": "no customer has this key"}
            raise Problem("invalid-request", "There is no such customer.", errors=[place]) from None
    return await answer_once(request, identity.tenant, partial(_made, request, given, identity, stated=True))


class _UnrecordedError(Exception):
    """No billing run has recorded the customer."""


async def _made(
    request: Request,
    given: NewPortalLink,
    identity: Identity,
    transaction: Transaction,
    again: Repeatable,
    *,
    stated: bool = False,
) -> Response:
    """The link; ``stated``: an event creates its customer.

    Raises:
        Problem: ``invalid-token``.
        _UnrecordedError: its customer may be one that waits, or none.
    """
    tenant = identity.tenant
    token, lifetime = new_token(tenant, PORTAL_LINK), timedelta(minutes=given.expires_in_minutes)
    asked = (given.customer, digest(token), lifetime)
    sent_by = (identity.key_prefix, request.scope["exchange"].request_id)
    rows = await transaction.call("create_portal_link", tenant, identity.family, *asked, *sent_by, stated)
    if rows[0]["create_portal_link"] == "ended":
        raise refused_token()
    if rows[0]["create_portal_link"] == "unknown":
        raise _UnrecordedError
    link = {"customer": given.customer, "expires_at": utc_text(datetime.now(UTC) + lifetime)}
    bodies = [orjson.dumps(link | {"token": text}) for text in (None, token)]
    return await again.end(transaction, tenant, 201, *bodies)


@router.post("/exchange", response_model=Session, summary="Sign in to the portal")
async def exchange(request: Request, given: PortalExchange) -> Response:
    """Exchange the token of a link for a session, which reads invoices and usage of its customer and nothing else."""
    tenant = await claimed_tenant(request, given.token)
    refresh, family = new_token(tenant, REFRESH), uuid.uuid4()
    service = service_of(request)
    made = (family, digest(refresh), IDLE, LIFETIME, request.scope["exchange"].request_id)
    rows = await service.database.call("open_portal_session", tenant, digest(given.token), *made)
    if not rows:
        raise await wrong_credentials(request, "portal refused", None)
    identity = Identity(tenant, rows[0]["key_prefix"], frozenset(), family, rows[0]["customer"])
    await spend_request(request, *identity.owner)
    service.log.info("portal session opened", tenant=tenant, family=str(family))
    return answered_session(service, identity, refresh)
