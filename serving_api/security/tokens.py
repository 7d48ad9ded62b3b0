"""Access tokens (RFC 9068 JWTs, RS256 alone)."""

from __future__ import annotations

import base64
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from serving_api.problems import Problem
from valueverse.platform.settings import TENANT_KEY

if TYPE_CHECKING:
    from valueverse.platform.access.signing_keys import KeyRing

ISSUER = "valueverse"
AUDIENCE = "valueverse-api"
PORTAL = "portal"
"""The other audience: a customer of the tenant, whom the claim ``customer`` names."""
PERSON = "usr_"
"""How the id of a person begins; no prefix of an API key has the letter _."""
TYPE = "at+jwt"
ACCESS_SECONDS = 300

_REQUIRED = ["iss", "aud", "sub", "exp", "nbf", "iat", "jti", "tenant", "scope", "sid"]
_REMEMBERED = 16_384
_LONGEST = 4096


@dataclass(frozen=True)
class Identity:
    """Who a session acts for.

    Attributes:
        tenant: all that it sees is of this tenant,
        customer: and, in a portal session, of this customer of it.
        key_prefix: the API key that signed in, or the id of the person; in a portal session whoever made its link.
        scopes: what it may do; none in a portal session.
        family: the session.
        role: of a person, as it is now; None: a key or a customer, or not asked yet.
    """

    tenant: str
    key_prefix: str
    scopes: frozenset[str]
    family: uuid.UUID
    customer: str | None = None
    role: str | None = None

    @property
    def is_person(self) -> bool:
        """Whether a person signed in, and not a key or a customer."""
        return self.customer is None and self.key_prefix.startswith(PERSON)

    @property
    def owner(self) -> tuple[str, ...]:
        """Whose things it sees: tenant; or tenant and customer."""
        return (self.tenant,) if self.customer is None else (self.tenant, self.customer)

    def may(self, scope: str) -> bool:
        """Whether the session has ``scope``."""
        return scope in self.scopes or "admin" in self.scopes


class Tokens:
    """Issues and verifies access tokens with the keys of a ring."""

    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring
        self._seen: dict[str, tuple[int, Identity]] = {}
        self._kids: frozenset[str] = frozenset()

    def issue(self, identity: Identity) -> str:
        """A token for the next ``ACCESS_SECONDS``."""
        now = int(time.time())
        key = self._ring.signer()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE if identity.customer is None else PORTAL,
            "sub": identity.key_prefix,
            "client_id": identity.key_prefix,
            "tenant": identity.tenant,
            "scope": " ".join(sorted(identity.scopes)),
            "sid": str(identity.family),
            "jti": str(uuid.uuid4()),
            "iat": now,
            "nbf": now,
            "exp": now + ACCESS_SECONDS,
        }
        if identity.customer is not None:
            claims["customer"] = identity.customer
        return jwt.encode(claims, key.private, algorithm="RS256", headers={"kid": key.kid, "typ": TYPE})

    def verify(self, token: str) -> Identity:
        """The identity that ``token`` proves.

        Raises:
            Problem: ``invalid-token``; the same whatever is wrong, so that nothing is learned from it.
        """
        known = self.known(token)
        if known is not None:
            return known
        expires, identity = self._verified(token)
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[token] = (expires, identity)
        return identity

    def known(self, token: str) -> Identity | None:
        """The identity that ``token`` proves, if that was verified before and holds still."""
        kids = self._ring.kids
        if kids != self._kids:
            self._seen, self._kids = {}, kids
        known = self._seen.get(token)
        return known[1] if known is not None and known[0] > time.time() else None

    def expiry(self, token: str) -> int:
        """When a token expires that ``verify`` takes, in seconds since 1970.

        Raises:
            Problem: as ``verify``.
        """
        expires, _ = self._verified(token)
        return expires

    def _verified(self, token: str) -> tuple[int, Identity]:
        if len(token) > _LONGEST:
            raise refused_token()
        try:
            if not _is_canonical(token):
                raise refused_token()
            header = jwt.get_unverified_header(token)
            key = self._ring.verifier(header.get("kid"))
            if key is None or header.get("typ") != TYPE or "crit" in header:
                raise refused_token()
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                issuer=ISSUER,
                audience=[AUDIENCE, PORTAL],
                options={"require": _REQUIRED},
            )
            tenant, customer = claims["tenant"], claims.get("customer")
            if not isinstance(tenant, str) or not TENANT_KEY.fullmatch(tenant):
                raise refused_token()
            # One audience, not a list: a token is a portal's or not, and only a portal's names a customer.
            named = isinstance(customer, str) and customer != ""
            if claims["aud"] != (PORTAL if named else AUDIENCE) or (customer is not None and not named):
                raise refused_token()
            if int(claims["exp"]) - int(claims["iat"]) > ACCESS_SECONDS:
                raise refused_token()
            scopes = frozenset(str(claims["scope"]).split())
            family = uuid.UUID(str(claims["sid"]))
            return int(claims["exp"]), Identity(tenant, str(claims["sub"]), scopes, family, customer)
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise refused_token() from error


def _is_canonical(token: str) -> bool:
    """Whether each part is written as its bytes are, and no other way: the decoder of the library overlooks padding and
    the bits that the last letter has too many, so that one token would have many texts."""
    return all(base64.urlsafe_b64encode(_bytes_of(part)).rstrip(b"=") == part.encode() for part in token.split("."))


def _bytes_of(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def refused_token() -> Problem:
    """The answer to an access token that proves nothing."""
    return Problem(
        "invalid-token",
        "Send a valid access token: Authorization: Bearer <access_token>.",
        headers={"WWW-Authenticate": 'Bearer realm="valueverse", error="invalid_token"'},
    )
