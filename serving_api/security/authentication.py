"""Who asks: the access token, the tenant's limit and the scope, in this order, before anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request  # noqa: TC002 - FastAPI reads annotations when it runs

from serving_api.problems import Problem
from serving_api.security.rate_limits import refused
from serving_api.security.tokens import Identity, refused_token
from serving_api.service import service_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


def bearer(request: Request) -> str | None:
    """The credentials of the one ``Authorization: Bearer`` header; None without it, or with two."""
    given = request.headers.getlist("authorization")
    if len(given) != 1:
        return None
    scheme, _, credentials = given[0].partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


async def identify(request: Request, scope: str | None = None) -> Identity:
    """The identity of the access token, which has ``scope`` and a request left.

    Raises:
        Problem: ``invalid-token``, ``rate-limited``, ``insufficient-scope``.
    """
    service = service_of(request)
    token = bearer(request)
    if token is None:
        raise refused_token()
    identity = service.tokens.verify(token)
    await spend(request, identity.tenant)
    if scope is not None and not identity.may(scope):
        raise Problem(
            "insufficient-scope",
            f"This needs the scope {scope}.",
            headers={"WWW-Authenticate": f'Bearer realm="valueverse", error="insufficient_scope", scope="{scope}"'},
        )
    return identity


async def spend(request: Request, tenant: str) -> None:
    """Count the request against the tenant's limit and note what the headers say.

    Raises:
        Problem: ``rate-limited``.
    """
    exchange = request.scope["exchange"]
    exchange.tenant = tenant
    limiter = service_of(request).limiter
    verdict = await limiter.spend(f"tenant:{tenant}")
    exchange.headers.update(verdict.headers(limiter.requests))
    if not verdict.allowed:
        raise refused(verdict, limiter.requests)


def requires(scope: str | None) -> Callable[[Request], Awaitable[Identity]]:
    """A dependency that gives the identity, having ``scope``."""

    async def dependency(request: Request) -> Identity:
        return await identify(request, scope)

    return dependency
