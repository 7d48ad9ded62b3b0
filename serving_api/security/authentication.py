"""Who asks: the access token or API key, the tenant's limit and the scope, in this order, before anything else; then,
that what they write may be stored."""

from __future__ import annotations

import base64
import ipaddress
import re
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from starlette.requests import Request

from serving_api.problems import Problem
from serving_api.security.rate_limits import bucket_of, note_verdict, refused
from serving_api.security.tokens import Identity, refused_token
from serving_api.service import service_of
from serving_api.stored_texts import judge_stored_texts
from valueverse.platform.access.api_keys import digest, prefix_of
from valueverse.platform.access.people_roles import SCOPES_OF

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Spend = Callable[[Request, str], Awaitable[None]]


def bearer(request: Request) -> str | None:
    """The credentials of the one ``Authorization: Bearer`` header; None without it, or with two."""
    given = request.headers.getlist("authorization")
    if len(given) != 1:
        return None
    scheme, _, credentials = given[0].partition(" ")
    return credentials.strip() or None if scheme.lower() == "bearer" else None


async def identify(
    request: Request, scope: str | None = None, spend: Spend | None = None, *, portal: bool = False
) -> Identity:
    """The identity of the access token, which has ``scope`` and a request left, or what else ``spend`` asks for.

    Args:
        request: its one header ``Authorization`` has the token.
        scope: what it needs; None: nothing.
        portal: a customer of the tenant may ask too, without a scope: the answer is of the identity's ``owner`` alone.

    Raises:
        Problem: ``invalid-token``, ``rate-limited``, ``insufficient-scope``; of a text that may not be stored
            ``invalid-request``.
    """
    service = service_of(request)
    token = bearer(request)
    if token is None:
        raise refused_token()
    identity = service.tokens.verify(token)
    if identity.customer is not None and not portal:
        raise refused_token()
    if spend is None:
        await spend_request(request, *identity.owner)
    else:
        await spend(request, identity.tenant)
    if identity.is_person:
        identity = await _as_now(request, identity)
    if scope is not None and identity.customer is None and not identity.may(scope):
        raise insufficient_scope(scope)
    if request.method not in {"GET", "DELETE"}:
        await judge_stored_texts(request)
    return identity


async def _as_now(request: Request, identity: Identity) -> Identity:
    """A person with the role of this moment: who was disabled, signed out or given another role is so at once.

    Raises:
        Problem: ``invalid-token``.
    """
    asked = (identity.tenant, identity.family, identity.key_prefix)
    (found,) = await service_of(request).database.call("user_session", *asked)
    role = found["user_session"]
    if role is None:
        raise refused_token()
    return replace(identity, scopes=frozenset(SCOPES_OF[role]), role=role)


async def identify_sender(request: Request, scope: str) -> Identity:
    """As ``identify``, of a request with events, which may also come with an API key itself: senders of events hold no
    session. It takes an event of the tenant's budget; ``spend_events`` takes the others once they are counted.

    Raises:
        Problem: as ``identify``; ``invalid-credentials``.
    """
    return await _identify_by(request, bearer(request), scope, spend_events)


async def identify_client(request: Request, scope: str, spend: Spend | None = None) -> Identity:
    """As ``identify_sender``, of another system's client: the API key may also be the user name of ``Basic``.

    Args:
        request: its one header ``Authorization`` has the key, or a token.
        scope: what it needs.
        spend: what it takes of the tenant's limits; by default an event of its budget.

    Raises:
        Problem: as ``identify_sender``.
    """
    return await _identify_by(request, bearer(request) or _user_name(request), scope, spend or spend_events)


async def identify_reader(request: Request) -> Identity:
    """As ``identify_client``, of one that reads what is billed: it takes a request of the tenant's limit.

    Raises:
        Problem: as ``identify_client``.
    """
    return await identify_client(request, "billing:read", spend_request)


async def _identify_by(request: Request, credentials: str | None, scope: str, spend: Spend) -> Identity:
    if credentials is None or prefix_of(credentials) is None:
        return await identify(request, scope, spend)
    identity = await identity_of_key(request, credentials, spend)
    if not identity.may(scope):
        raise insufficient_scope(scope)
    return identity


def _user_name(request: Request) -> str | None:
    """That of the one ``Authorization: Basic`` header; None for what is none."""
    given = request.headers.getlist("authorization")
    scheme, _, encoded = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode().partition(":")[0]
    except ValueError:
        return None


async def identity_of_key(request: Request, key: str | None, spend: Spend | None = None) -> Identity:
    """Whose API key it is, with a request of that tenant spent, or what else ``spend`` asks for.

    Raises:
        Problem: ``invalid-credentials``, counted against the client's address; ``rate-limited``.
    """
    service = service_of(request)
    await look(request, address_of(request))
    prefix = prefix_of(key) if key else None
    asked = (host_of(request), request.scope["exchange"].request_id)
    found = await service.database.call("api_key", prefix, digest(key), *asked) if key and prefix else []
    if not found or prefix is None:
        raise await wrong_credentials(request, "sign-in refused", prefix)
    tenant, scopes = found[0]["tenant_id"], found[0]["scopes"]
    await (spend or spend_request)(request, tenant)
    return Identity(tenant, prefix, frozenset(scopes), uuid.uuid4())


def insufficient_scope(scope: str, what: str = "This needs") -> Problem:
    """The answer to an identity without ``scope``."""
    return Problem(
        "insufficient-scope",
        f"{what} the scope {scope}.",
        headers={"WWW-Authenticate": f'Bearer realm="valueverse", error="insufficient_scope", scope="{scope}"'},
    )


_WITH_PORT = re.compile(r"\[(.+)\](?::\d+)?|([\d.]+):\d+")
"""An address of IPv6 in brackets, or one of IPv4 with a port."""


def address_of(request: Request) -> str:
    """The bucket of a client's address, which wrong credentials are counted in.

    Of IPv6 it is the network of 64 bits: whoever is given one chooses freely among its addresses (RFC 4291).
    """
    host = host_of(request)
    if ":" in host:
        host = str(ipaddress.IPv6Network((int(ipaddress.IPv6Address(host)), 64), strict=False))
    return f"address:{host}"


def host_of(request: Request) -> str:
    """A client's network address, of which the audit log has a pseudonym.

    A trusted proxy may state it with a port, which the client chooses; one of IPv4 that is written as one of IPv6 is
    itself; what is no address is ``unknown``.
    """
    host = request.client.host if request.client else ""
    if with_port := _WITH_PORT.fullmatch(host):
        host = with_port[1] or with_port[2]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "unknown"
    return str(getattr(address, "ipv4_mapped", None) or address)


async def look(request: Request, bucket: str) -> None:
    """Refuse whoever has used up a bucket, without taking from it.

    Raises:
        Problem: ``rate-limited``.
    """
    limiter = service_of(request).limiter
    verdict = await limiter.spend(bucket, 0)
    if not verdict.allowed or verdict.remaining == 0:
        raise refused(verdict, limiter.requests)


_WRONG = "The API key or refresh token is not valid: it may be mistyped, used, expired or revoked."


async def wrong_credentials(request: Request, event: str, key: str | None, detail: str = _WRONG) -> Problem:
    """The answer to credentials that open nothing, counted against the client's address and logged as ``event``."""
    service = service_of(request)
    await service.limiter.spend(address_of(request))
    service.log.warning(event, key=key)
    return Problem(
        "invalid-credentials",
        detail,
        headers={"WWW-Authenticate": 'Bearer realm="valueverse", error="invalid_token"'},
    )


async def spend_request(request: Request, tenant: str, *customer: str) -> None:
    """Count the request against the limit of the tenant, or of one customer in the tenant's portal, and note what the
    headers say.

    Raises:
        Problem: ``rate-limited``.
    """
    limiter = service_of(request).limiter
    owner = (tenant, *customer)
    note_verdict(request.scope, owner, await limiter.spend(bucket_of(owner)), limiter.requests)


async def spend_events(request: Request, tenant: str, events: int = 1) -> None:
    """Count events against the tenant's budget and note what the headers say.

    A request's events are known once it is read, and are taken whole as long as anything is left of the budget.

    Raises:
        Problem: ``rate-limited``.
    """
    service, exchange = service_of(request), request.scope["exchange"]
    exchange.tenant = tenant
    budget = service.settings.event_budget(tenant)
    verdict = await service.limiter.spend(f"events:{tenant}", events, budget, beyond=True)
    exchange.headers.update(verdict.headers(budget))
    if not verdict.allowed:
        raise refused(verdict, budget, "events")


class Required:
    """A dependency that gives the identity, as ``identify`` does.

    Attributes:
        scope: what the route needs; None: nothing.
    """

    def __init__(self, scope: str | None, *, portal: bool = False) -> None:
        self.scope, self._portal = scope, portal

    async def __call__(self, request: Request) -> Identity:
        """The identity of the request's access token."""
        return await identify(request, self.scope, portal=self._portal)


def requires(scope: str | None, *, portal: bool = False) -> Required:
    """A dependency that gives the identity, as ``identify`` does."""
    return Required(scope, portal=portal)
