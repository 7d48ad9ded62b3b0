"""A forgotten password: a mail with a link, by which another is chosen."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from anyio import to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving_api.problems import Problem, unacceptable
from serving_api.responses import refuse_parameters
from serving_api.routes.identity.people_schemas import ForgottenPassword, ResetPassword
from serving_api.routes.identity.sessions import claimed_tenant
from serving_api.routes.identity.sign_in import claimed_address
from serving_api.security.authentication import address_of, look, wrong_credentials
from serving_api.service import service_of
from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import digest
from valueverse.services.people.password_mail import LIFETIME, reset_token
from valueverse.services.people.passwords import check_password, hash_password

if TYPE_CHECKING:
    from serving_api.service import Service

router = APIRouter(prefix="/v1/auth/reset", tags=["people"])


@router.post("", status_code=202, response_class=Response, summary="Ask for another password")
async def ask(request: Request, given: ForgottenPassword) -> Response:
    """Answered alike at once, whether or not somebody has the address; whoever has it is mailed a link, good once, for
    30 minutes.
    """
    refuse_parameters(request)
    service = service_of(request)
    await look(request, address_of(request))
    # Counted as a wrong password would be: nobody floods a mailbox.
    await service.limiter.spend(address_of(request))
    request_id = request.scope["exchange"].request_id
    if not service.later.begin(_begin(service, given.tenant, claimed_address(given.email), request_id)):
        raise Problem("unavailable", "Too many people ask for another password at once.", headers={"Retry-After": "5"})
    return Response(status_code=202)


@router.post("/confirm", status_code=204, response_class=Response, summary="Choose another password")
async def confirm(request: Request, given: ResetPassword) -> Response:
    """Every session of the person ends; a second factor stays. Sign in with the new password then."""
    refuse_parameters(request)
    service, tenant, hashed = service_of(request), await claimed_tenant(request, given.token), digest(given.token)
    (row,) = await service.database.call("reset_email", tenant, hashed)
    email = row["reset_email"]
    if email is None:
        raise await wrong_credentials(request, "reset refused", None, _GONE)
    try:
        check_password(given.password, (email, tenant), "body.password")
    except RefusalError as refusal:
        raise unacceptable(refusal) from refusal
    password = await service.hashing.work(lambda: hash_password(given.password))
    asked = (hashed, password, request.scope["exchange"].request_id)
    (done,) = await service.database.call("reset_password", tenant, *asked)
    if not done["reset_password"]:
        raise await wrong_credentials(request, "reset refused", None, _GONE)
    await service.attempts.forget(tenant, email)
    return Response(status_code=204)


_GONE = "The link is not valid: it was used or replaced, has expired, or is incomplete."


async def _begin(service: Service, tenant: str, email: str, request_id: str) -> None:
    reset = uuid.uuid4()
    hashed = digest(await to_thread.run_sync(reset_token, service.settings, tenant, str(reset)))
    await service.database.call("begin_reset", tenant, email, reset, hashed, LIFETIME, request_id)
