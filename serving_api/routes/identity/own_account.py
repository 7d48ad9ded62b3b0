"""What a person changes of the own account, by proving the password once more: the password, the second factor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated

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
from serving_api.routes.identity.sealing import Result, refused_secret, sealing
from serving_api.routes.identity.sessions import LIFETIME
from serving_api.routes.identity.sign_in import record_failure
from serving_api.security.authentication import requires
from serving_api.security.tokens import Identity, refused_token
from serving_api.service import service_of
from valueverse.errors import RefusalError
from valueverse.services.people import second_factor
from valueverse.services.people.passwords import check_password, hash_password, is_password

if TYPE_CHECKING:
    from collections.abc import Callable

router = APIRouter(prefix="/v1/auth", tags=["people"])
_JUST = timedelta(minutes=10)
"""For how long a log-in counts as proof of whoever has no password."""


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
    """A secret for an authenticator app, shown this once. It counts after `/confirm` has seen a code of it. Whoever
    has no password leaves it out, within ten minutes of a log-in by the identity provider.
    """
    refuse_parameters(request)
    email, _ = await _proven(request, identity, given.password)
    work = partial(second_factor.begin, service_of(request).settings, _person(identity), email)
    return Response(orjson.dumps(await sealing(request, work)), 201, media_type="application/json")


@router.post("/second-factor/confirm", response_model=RecoveryCodes, summary="Confirm the second factor")
async def confirm_second_factor(request: Request, given: Code, identity: _Person) -> Response:
    """From now on each log-in needs a code. The recovery codes are shown this once; each is good once."""
    refuse_parameters(request)
    email, waits = await _attempt(request, identity)
    codes = await _coded(request, identity, second_factor.confirm, given.code, (email, waits))
    body = orjson.dumps({"recovery_codes": [second_factor.shown(code) for code in codes]})
    return Response(body, 200, media_type="application/json")


@router.post("/second-factor/remove", status_code=204, response_class=Response, summary="Remove the second factor")
async def remove_second_factor(request: Request, given: PasswordAndCode, identity: _Person) -> Response:
    """Needs the password, or a log-in as to begin one, and a code of the app or a recovery code."""
    refuse_parameters(request)
    email, waits = await _attempt(request, identity)
    await _password(request, identity, given.password, (email, waits))
    await _coded(request, identity, second_factor.remove, given.code, (email, waits))
    return Response(status_code=204)


async def _attempt(request: Request, identity: Identity) -> tuple[str, bool]:
    """Count an attempt of a person's account to prove something, as at a log-in: its address, and whether it has to
    wait now, unless this attempt is right.

    Raises:
        Problem: ``rate-limited``, ``unavailable``.
    """
    service, tenant = service_of(request), identity.tenant
    (row,) = await service.database.call("users", tenant, identity.key_prefix, None, None, 1)
    return row["email"], await service.attempts.begin(tenant, row["email"])


async def _coded(
    request: Request, identity: Identity, work: Callable[..., Result], code: str, attempt: tuple[str, bool]
) -> Result:
    """What ``work`` gives for the right code; a wrong one is an attempt that failed, as at a log-in.

    Raises:
        Problem: ``invalid-request``, ``unavailable``.
    """
    asked = (service_of(request).settings, _person(identity), code, request.scope["exchange"].request_id)
    try:
        done = await sealing(request, partial(work, *asked))
    except Problem as problem:
        if problem.errors:
            await record_failure(request, identity.tenant, *attempt)
        raise
    await service_of(request).attempts.forget(identity.tenant, attempt[0])
    return done


async def _proven(request: Request, identity: Identity, password: str | None) -> tuple[str, str | None]:
    """Address and hash of a person who has typed the right password, or has none and has just signed in: an access
    token alone changes nothing.

    Raises:
        Problem: ``invalid-request``, ``rate-limited``, ``unavailable``.
    """
    email, waits = await _attempt(request, identity)
    hashed, has_factor = await _password(request, identity, password, (email, waits))
    # A right password must not make wrong codes forgotten.
    if not has_factor:
        await service_of(request).attempts.forget(identity.tenant, email)
    return email, hashed


async def _password(
    request: Request, identity: Identity, password: str | None, attempt: tuple[str, bool]
) -> tuple[str | None, bool]:
    """The hash of the person's password, which was right, and whether there is a second factor.

    Without a password, of a person who has none: the session has just been opened, by the identity provider.

    Raises:
        Problem: ``invalid-request``, ``invalid-token``, ``unavailable``.
    """
    service, tenant = service_of(request), identity.tenant
    found = await service.database.call("sign_in_account", tenant, attempt[0])
    hashed: str | None = found[0]["password_hash"] if found else None
    if password is None:
        await _just_signed_in(request, identity, has_password=hashed is not None)
        return None, bool(found and found[0]["second_factor"])
    right = await service.hashing.work(lambda: is_password(password, hashed))
    if hashed is None or not right:
        await record_failure(request, tenant, *attempt)
        place = {"path": "body.password", "message": "this is not your password"}
        raise Problem("invalid-request", "The password is not right.", errors=[place])
    return hashed, found[0]["second_factor"]


async def _just_signed_in(request: Request, identity: Identity, *, has_password: bool) -> None:
    """Refuse a session that is older than ``_JUST``, and whoever could type a password.

    Raises:
        Problem: ``invalid-request``, ``invalid-token``.
    """
    (row,) = await service_of(request).database.call("session_end", identity.tenant, identity.family)
    if row["session_end"] is None:
        raise refused_token()
    cure = "type your password" if has_password else "sign in by your identity provider again, and come back at once"
    if has_password or row["session_end"] - LIFETIME < datetime.now(UTC) - _JUST:
        place = {"path": "body.password", "message": cure}
        raise Problem("invalid-request", "An access token alone changes nothing of an account.", errors=[place])


def _person(identity: Identity) -> second_factor.Person:
    return second_factor.Person(identity.tenant, identity.key_prefix, identity.family)
