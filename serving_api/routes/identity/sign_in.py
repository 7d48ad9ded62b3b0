"""How people sign in: by password, into a session like any other."""

from __future__ import annotations

import uuid
from functools import partial

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serving_api.problems import Problem
from serving_api.responses import refuse_parameters
from serving_api.routes.identity.people_schemas import Login
from serving_api.routes.identity.sealing import sealing
from serving_api.routes.identity.sessions import IDLE, LIFETIME, answered_session
from serving_api.schemas import Session
from serving_api.security.authentication import address_of, host_of, look, spend_request, wrong_credentials
from serving_api.security.tokens import Identity
from serving_api.service import service_of
from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import digest
from valueverse.platform.access.opaque_tokens import REFRESH, new_token
from valueverse.services.people.addresses import normal_address
from valueverse.services.people.passwords import hash_password, is_password, needs_rehash
from valueverse.services.people.second_factor import is_code

router = APIRouter(prefix="/v1/auth", tags=["people"])


@router.post("/login", response_model=Session, summary="Sign in with a password")
async def login(request: Request, given: Login) -> Response:
    """The answer to an unknown address, to a wrong password and to a disabled person is the same, after the same time.
    After five attempts that failed an account has to wait, longer each time.
    """
    refuse_parameters(request)
    service, tenant = service_of(request), given.tenant
    await look(request, address_of(request))
    await look(request, f"tenant:{tenant}")
    email = claimed_address(given.email)
    waits = await service.attempts.begin(tenant, email)
    found = await service.database.call("sign_in_account", tenant, email)
    hashed: str | None = found[0]["password_hash"] if found else None
    right = await service.hashing.work(lambda: is_password(given.password, hashed))
    if hashed is None or not right:
        await record_failure(request, tenant, email, waits)
        raise await _refused(request)
    user = found[0]["user_id"]
    if found[0]["second_factor"] and not await is_right_code(request, tenant, user, given.code):
        await record_failure(request, tenant, email, waits)
        raise await _refused(request)
    answer = await open_user_session(request, tenant, user)
    await service.attempts.forget(tenant, email)
    if needs_rehash(hashed):
        again = await service.hashing.work(lambda: hash_password(given.password))
        await service.database.call("rehash_password", tenant, user, hashed, again)
    return answer


async def open_user_session(request: Request, tenant: str, user: str) -> Response:
    """Tokens of a new session of a person.

    Raises:
        Problem: ``invalid-credentials``: the person is disabled; ``rate-limited``.
    """
    service = service_of(request)
    await spend_request(request, tenant)
    refresh, family = new_token(tenant, REFRESH), uuid.uuid4()
    made = (user, family, digest(refresh), IDLE, LIFETIME, request.scope["exchange"].request_id)
    (opened,) = await service.database.call("open_user_session", tenant, *made)
    if opened["open_user_session"] is None:
        raise await _refused(request)
    service.log.info("session opened", tenant=tenant, user=user, family=str(family))
    return answered_session(service, Identity(tenant, user, frozenset(), family), refresh)


def claimed_address(text: str) -> str:
    """An address in its normal form; one that nobody can have is looked for as it stands."""
    try:
        return normal_address(text)
    except RefusalError:
        return text.encode(errors="replace").decode().replace("\0", "")


async def record_failure(request: Request, tenant: str, email: str, waits: bool) -> None:
    """Write into the tenant's audit log that a password or code was wrong, where a person has or had the address.

    Entries are as few as ``Attempts`` lets through. They are awaited for every address alike, so that the time of the
    answer does not show which of them exist.
    """
    asked = (email, waits, host_of(request), request.scope["exchange"].request_id)
    await service_of(request).database.call("record_failed_log_in", tenant, *asked)


async def is_right_code(request: Request, tenant: str, user: str, code: str | None) -> bool:
    """Ask for a code beside the right password: whether it is right.

    Raises:
        Problem: ``second-factor-required``, ``unavailable``.
    """
    if code is None:
        raise Problem("second-factor-required", "This person signs in with a code too.")
    work = partial(is_code, service_of(request).settings, tenant, user, code, request.scope["exchange"].request_id)
    return await sealing(request, work)


async def _refused(request: Request) -> Problem:
    return await wrong_credentials(
        request, "log-in refused", None, "The address, the password or the code is not right."
    )
