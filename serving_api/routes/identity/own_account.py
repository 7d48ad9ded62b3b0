"""What a person changes of the own account, by proving the password once more: the password, the second factor."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import orjson
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from serving_api.problems import Problem
from serving_api.responses import refuse_parameters
from serving_api.routes.identity.people_schemas import (
    Code,
    NewPassword,
    PasswordAndCode,
    ProvenPassword,
    RecoveryCodes,
    SecondFactor,
)
from serving_api.routes.identity.sealing import refused_secret, sealing
from serving_api.routes.identity.sign_in import record_failure
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity, refused_token
from serving_api.service import service_of
from valueverse.errors import RefusalError
from valueverse.services.people import second_factor
from valueverse.services.people.passwords import check_password, hash_password, is_password

router = APIRouter(prefix="/v1/auth", tags=["people"])


async def _own(identity: Annotated[Identity, Depends(requires(None))]) -> Identity:
    """A person; keys have neither password nor second factor.

    Raises:
        Problem: ``insufficient-role``.
    """
    if not identity.is_person:
        raise Problem("insufficient-role", "This is of a person: sign in with a password.")
    return identity


_Person = Annotated[Identity, Depends(_own)]


@router.post("/password", status_code=204, response_class=Response, summary="Change the own password")
async def change_password(request: Request, given: NewPassword, identity: _Person) -> Response:
    """Every other session of the person ends."""
    refuse_parameters(request)
    service, tenant = service_of(request), identity.tenant
    email, old = await _proven(request, identity, given.current)
    try:
        check_password(given.password, (email, tenant), "body.password")
    except RefusalError as refusal:
        raise refused_secret(refusal) from refusal
    new = await service.hashing.work(lambda: hash_password(given.password))
    sent_by = request.scope["exchange"].request_id
    asked = (identity.family, identity.key_prefix, old, new, sent_by)
    (row,) = await service.database.call("change_password", tenant, *asked)
    if not row["change_password"]:
        raise refused_token()
    return Response(status_code=204)


@router.post("/second-factor", response_model=SecondFactor, status_code=201, summary="Begin a second factor")
async def begin_second_factor(request: Request, given: ProvenPassword, identity: _Person) -> Response:
    """A secret for an authenticator app, shown this once. It counts after `/confirm` has seen a code of it."""
    refuse_parameters(request)
    email, _ = await _proven(request, identity, given.password)
    work = partial(second_factor.begin, service_of(request).settings, _person(identity), email)
    return Response(orjson.dumps(await sealing(request, work)), 201, media_type="application/json")


@router.post("/second-factor/confirm", response_model=RecoveryCodes, summary="Confirm the second factor")
async def confirm_second_factor(request: Request, given: Code, identity: _Person) -> Response:
    """From now on each log-in needs a code. The recovery codes are shown this once; each is good once."""
    refuse_parameters(request)
    asked = (service_of(request).settings, _person(identity), given.code, request.scope["exchange"].request_id)
    codes = await sealing(request, partial(second_factor.confirm, *asked))
    body = orjson.dumps({"recovery_codes": [second_factor.shown(code) for code in codes]})
    return Response(body, 200, media_type="application/json")


@router.post("/second-factor/remove", status_code=204, response_class=Response, summary="Remove the second factor")
async def remove_second_factor(request: Request, given: PasswordAndCode, identity: _Person) -> Response:
    """Needs the password, and a code of the app or a recovery code."""
    refuse_parameters(request)
    await _proven(request, identity, given.password)
    asked = (service_of(request).settings, _person(identity), given.code, request.scope["exchange"].request_id)
    await sealing(request, partial(second_factor.remove, *asked))
    return Response(status_code=204)


async def _proven(request: Request, identity: Identity, password: str) -> tuple[str, str]:
    """Address and hash of a person who has typed the right password: an access token alone changes nothing.

    Raises:
        Problem: ``invalid-request``, ``rate-limited``, ``unavailable``.
    """
    service, tenant = service_of(request), identity.tenant
    (row,) = await service.database.call("users", tenant, identity.key_prefix, None, None, 1)
    email: str = row["email"]
    waits = await service.attempts.begin(tenant, email)
    found = await service.database.call("sign_in_account", tenant, email)
    hashed: str | None = found[0]["password_hash"] if found else None
    right = await service.hashing.work(lambda: is_password(password, hashed))
    if hashed is None or not right:
        await record_failure(request, tenant, email, waits)
        place = {"path": "body.password", "message": "this is not your password"}
        raise Problem("invalid-request", "The password is not right.", errors=[place])
    await service.attempts.forget(tenant, email)
    return email, hashed


def _person(identity: Identity) -> second_factor.Person:
    return second_factor.Person(identity.tenant, identity.key_prefix, identity.family)
