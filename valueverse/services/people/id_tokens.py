"""ID tokens of OpenID Connect: what one proves, and what it must state to be taken (Core 1.0, section 3.1.3.7).

One algorithm, RS256, which every provider has to support: a token without a signature, or one that is signed by the
text of a public key, is of another. Keys come from the provider's own documents alone, whatever a token brings along.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jwt

from valueverse.errors import RefusalError
from valueverse.services.people.addresses import normal_address

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM = "RS256"
_REQUIRED = ["iss", "sub", "aud", "exp", "iat", "nonce"]
_SKEW = 60
"""Seconds that a provider's clock may be off."""
_LONGEST = 16_384
_MOST_KEYS = 100
_UNREADABLE = (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError)
"""What the library raises of a token: its parts are JSON, read by the parser of the standard library."""
_LONGEST_SUBJECT = 255
"""Letters (Core 1.0, section 2)."""


@dataclass(frozen=True)
class Expected:
    """What a token has to be of.

    Attributes:
        issuer: the provider.
        client_id: what the provider calls us.
        nonce: of the log-in that the browser began.
    """

    issuer: str
    client_id: str
    nonce: str


def key_set(document: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """RSA keys that sign, by ``kid``; others, and those without one, are left out."""
    stated = document.get("keys")
    found = {}
    for one in stated[:_MOST_KEYS] if isinstance(stated, list) else []:
        if not isinstance(one, dict) or one.get("kty") != "RSA" or "d" in one or not isinstance(one.get("kid"), str):
            continue
        if one.get("use", "sig") != "sig" or one.get("alg", ALGORITHM) != ALGORITHM:
            continue
        try:
            found[one["kid"]] = jwt.PyJWK(one, ALGORITHM)
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
    return found


def key_id(token: str) -> str:
    """The ``kid`` that a token names, before anything of it is believed.

    Raises:
        RefusalError: ``bad_id_token``.
    """
    try:
        header = jwt.get_unverified_header(token) if len(token) <= _LONGEST else {}
    except _UNREADABLE as error:
        raise _refused("it is no JWT") from error
    if header.get("alg") != ALGORITHM or "crit" in header or not isinstance(header.get("kid"), str):
        raise _refused(f"it is not signed by {ALGORITHM} with a key that it names")
    kid: str = header["kid"]
    return kid


def is_signed(token: str, key: jwt.PyJWK) -> bool:
    """Whether ``key`` has signed a token, whatever it states."""
    try:
        jwt.PyJWS().decode(token, key, algorithms=[ALGORITHM])
    except _UNREADABLE:
        return False
    return True


def claims_of(token: str, key: jwt.PyJWK, expected: Expected) -> dict[str, Any]:
    """What a token states that ``key`` has signed for this very log-in.

    Raises:
        RefusalError: ``bad_id_token``.
    """
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            issuer=expected.issuer,
            audience=expected.client_id,
            leeway=_SKEW,
            options={"require": _REQUIRED, "enforce_minimum_key_length": True},
        )
    except _UNREADABLE as error:
        raise _refused(f"{type(error).__name__}: {error}") from error
    # For us alone: a token that others are meant by too may have been given to one of them.
    party = claims.get("azp", expected.client_id)
    if claims["aud"] not in (expected.client_id, [expected.client_id]) or party != expected.client_id:
        raise _refused("it is for others too")
    if not isinstance(claims["nonce"], str) or not hmac.compare_digest(
        claims["nonce"].encode(), expected.nonce.encode()
    ):
        raise _refused("it is of another log-in")
    subject = claims["sub"]
    if not (subject.isascii() and subject.isprintable() and 1 <= len(subject) <= _LONGEST_SUBJECT):
        raise _refused("its subject is no text of 1 to 255 letters of ASCII")
    return claims


def verified_address(claims: Mapping[str, Any]) -> str | None:
    """The address that the provider has verified to be the subject's; None: it has not, or states none."""
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        return None
    try:
        return normal_address(email)
    except RefusalError:
        return None


def _refused(reason: str) -> RefusalError:
    return RefusalError("bad_id_token", f"the ID token is refused: {reason}")
