"""How people sign in by their tenant's identity provider, into a session like any other.

The browser is sent to the provider and back; what it brings becomes a token in the fragment of the web app's address,
which the web app exchanges for a session: no access token is ever part of an address.
"""

from __future__ import annotations

import hmac
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from serving_api.problems import Problem
from serving_api.responses import refuse_parameters, refuse_repeated
from serving_api.routes.identity.provider_sign_on.schemas import ProviderAnswer, SignInFinish, SignInStart
from serving_api.routes.identity.sealing import sealing
from serving_api.routes.identity.sessions import claimed_tenant
from serving_api.routes.identity.sign_in import is_right_code, open_user_session, record_failure
from serving_api.schemas import Session
from serving_api.security.authentication import address_of, look, wrong_credentials
from serving_api.service import service_of
from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import digest
from valueverse.platform.settings import TENANT_KEY
from valueverse.services.people.identity_providers import stored_provider
from valueverse.services.people.invitations import new_user_id
from valueverse.services.people.provider import Provider
from valueverse.services.people.single_sign_on import AFTERWARDS, AT_THE_PROVIDER, Return, challenge_of, new_sign_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from serving_api.service import Service
    from valueverse.services.people.single_sign_on import State

router = APIRouter(prefix="/v1/auth/oidc", tags=["people"])
_Tenant = Annotated[str, Path(pattern=f"^{TENANT_KEY.pattern}$", examples=["northwind-ai"])]
_REDIRECT: dict[str, Any] = {
    "status_code": 303,
    "response_class": RedirectResponse,
    "responses": {303: {"description": "Go on at the address of `Location`."}},
}
_AWAY = {"provider_unavailable", "bad_provider"}
_REFUSED = {"bad_state", "provider_refused", "bad_id_token", "stranger"}
_NOBODY = (
    "The identity provider has signed nobody in who was invited to this tenant: begin again, or ask for an invitation."
)


@router.get("/{tenant}/start", summary="Sign in by the identity provider", **_REDIRECT)
async def start(request: Request, tenant: _Tenant, given: Annotated[SignInStart, Query()]) -> Response:
    """Sends the browser to the tenant's provider, with a cookie that binds the log-in to this browser."""
    service = await _admitted(request, tenant)
    # Counted as a wrong password would be: nobody has us ask a provider again and again.
    await service.limiter.spend(address_of(request))
    found = await service.database.call("identity_provider", tenant)
    if not found:
        raise Problem("not-found", "This tenant signs in by no identity provider.")
    provider = Provider(tenant, found[0]["issuer"], found[0]["client_id"], "", found[0]["provider"])
    try:
        address, verifier = await service.single_sign_on.begin(provider, given.code_challenge)
    except RefusalError as refusal:
        raise _away(service, tenant, refusal) from refusal
    answer = RedirectResponse(address, 303)
    _keep(answer, service, verifier, int(AT_THE_PROVIDER.total_seconds()))
    return answer


@router.get("/{tenant}/callback", summary="Come back from the identity provider", **_REDIRECT)
async def callback(request: Request, tenant: _Tenant, given: Annotated[ProviderAnswer, Query()]) -> Response:
    """Sends the browser that began on to the web app, with a token that is good once, for five minutes."""
    service = await _admitted(request, tenant)
    verifier = request.cookies.get(_cookie(service), "")
    try:
        state = service.single_sign_on.state(tenant, given.state, verifier)
        token = await _answered(request, tenant, state, Return(given.code, given.iss, verifier))
    except RefusalError as refusal:
        if refusal.code in _AWAY:
            raise _away(service, tenant, refusal) from refusal
        if refusal.code not in _REFUSED:
            raise
        service.log.warning("identity provider refused", tenant=tenant, reason=refusal.message)
        raise await wrong_credentials(request, "log-in refused", None, _NOBODY) from refusal
    answer = RedirectResponse(f"{service.settings.app_url}/signed-in#{token}", 303)
    _keep(answer, service, "", 0)
    return answer


@router.post("/session", response_model=Session, summary="Finish a log-in by the identity provider")
async def open_session(request: Request, given: SignInFinish) -> Response:
    """The token that the web app got becomes a session, once; whoever was invited becomes a person by it. A second
    factor is asked for as after a password.
    """
    refuse_parameters(request)
    service, tenant, hashed = service_of(request), await claimed_tenant(request, given.token), digest(given.token)
    found = await service.database.call("provider_sign_in", tenant, hashed)
    challenge = challenge_of(given.code_verifier)
    if not found or not hmac.compare_digest(challenge, found[0]["challenge"]):
        raise await wrong_credentials(request, "log-in refused", None, _GONE)
    if found[0]["second_factor"]:
        await _check_code(request, tenant, found[0], given.code)
    asked = (hashed, new_user_id(), request.scope["exchange"].request_id)
    (done,) = await service.database.call("finish_provider_sign_in", tenant, *asked)
    user = done["finish_provider_sign_in"]
    if user is None:
        raise await wrong_credentials(request, "log-in refused", None, _GONE)
    return await open_user_session(request, tenant, user)


_GONE = "The log-in is not valid: it was finished, has expired, or was begun by somebody else; begin again."


async def _check_code(request: Request, tenant: str, person: Mapping[str, Any], code: str | None) -> None:
    """Refuse whoever has not the person's code; it counts as one beside a password does.

    Raises:
        Problem: ``second-factor-required``, ``invalid-credentials``, ``rate-limited``, ``unavailable``.
    """
    attempts, email = service_of(request).attempts, person["email"]
    waits = code is not None and await attempts.begin(tenant, email)
    if not await is_right_code(request, tenant, person["user_id"], code):
        await record_failure(request, tenant, email, waits)
        raise await wrong_credentials(request, "log-in refused", None, "The code is not right.")
    await attempts.forget(tenant, email)


async def _admitted(request: Request, tenant: str) -> Service:
    """The service, for an address and a tenant that have a request left."""
    refuse_repeated(request)
    await look(request, address_of(request))
    await look(request, f"tenant:{tenant}")
    return service_of(request)


async def _answered(request: Request, tenant: str, state: State, back: Return) -> str:
    """The token of a log-in that the provider has answered.

    Raises:
        Problem: ``unavailable``.
        RefusalError: of the provider, its answer, or whom it names.
    """
    service = service_of(request)
    provider = await sealing(request, partial(stored_provider, service.settings, tenant))
    if provider is None or provider.name != state.provider:
        raise RefusalError("bad_state", "the tenant has another identity provider now")
    taken = (state.key, state.provider, state.app, state.until)
    (row,) = await service.database.call("take_sign_in_state", tenant, *taken)
    if not row["take_sign_in_state"]:
        raise RefusalError("bad_state", "the state came before")
    subject, email = await service.single_sign_on.subject(provider, back)
    token = new_sign_in(tenant)
    named = (state.key, subject, email, digest(token), AFTERWARDS)
    (row,) = await service.database.call("name_provider_subject", tenant, *named)
    if row["name_provider_subject"] != "found":
        raise RefusalError("stranger", f"whom the provider names is {row['name_provider_subject']} here")
    return token


def _away(service: Service, tenant: str, refusal: RefusalError) -> Problem:
    service.log.warning("identity provider failed", tenant=tenant, reason=refusal.message)
    detail = "The identity provider does not answer as it should."
    return Problem("unavailable", detail, headers={"Retry-After": "5"})


def _secure(service: Service) -> bool:
    return service.settings.api_url.startswith("https:")


def _cookie(service: Service) -> str:
    # The prefix keeps other hosts of the same domain from planting one (RFC 6265bis, section 4.1.3.2).
    return "__Host-valueverse-sign-in" if _secure(service) else "valueverse-sign-in"


def _keep(answer: Response, service: Service, verifier: str, seconds: int) -> None:
    # Lax: it has to come along when the provider sends the browser back.
    answer.set_cookie(
        _cookie(service), verifier, seconds, path="/", secure=_secure(service), httponly=True, samesite="lax"
    )
