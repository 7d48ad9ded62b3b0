"""Log-ins by a tenant's identity provider: authorization code with PKCE (OpenID Connect Core 1.0; RFC 9700).

What a log-in is bound by: the browser holds the code verifier in a cookie that no script reads; the state that travels
with it is signed, of one tenant and one state of its provider, and names the challenge of that verifier; the nonce is a
hash of it. So a code is good in the browser alone that began, and nothing is stored before it comes back.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jwt
from oauthlib.common import add_params_to_uri
from oauthlib.oauth2 import WebApplicationClient

from valueverse.errors import RefusalError
from valueverse.platform.access.api_keys import digest
from valueverse.platform.access.opaque_tokens import SIGN_IN, new_token
from valueverse.platform.access.secrets import secret
from valueverse.services.people.id_tokens import Expected, claims_of, verified_address
from valueverse.services.people.identity_providers import redirect_uri
from valueverse.services.people.provider_client import CHALLENGE_METHOD, ProviderClient

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings
    from valueverse.services.people.provider import Provider

AT_THE_PROVIDER = timedelta(minutes=10)
"""How long somebody may take to sign in at the provider."""
AFTERWARDS = timedelta(minutes=5)
"""How long the token is good that the provider's answer becomes: time for a second factor."""
_SIGNED_BY = "HS256"
_STATED = ["exp", "aud", "jti", "provider", "challenge", "app"]
_LONGEST = 2048


@dataclass(frozen=True)
class State:
    """What travels with a browser to the provider and back.

    Attributes:
        provider: name of the state of the tenant's provider.
        challenge: of the verifier that the browser's cookie has.
        app: challenge of the web app that asked for the log-in.
        key: what the state is known by, once.
        until: when it is good no more.
    """

    provider: str
    challenge: str
    app: str
    key: str
    until: datetime


@dataclass(frozen=True)
class Return:
    """How a browser comes back.

    Attributes:
        code: to be redeemed; None: the provider has signed nobody in.
        issuer: who the provider says that it is (RFC 9207); None: it does not say.
        verifier: of the browser's cookie.
    """

    code: str | None
    issuer: str | None
    verifier: str


class SingleSignOn:
    """Begins log-ins by providers, and reads what comes back.

    Args:
        settings: of the installation.
        client: asks providers.
    """

    def __init__(self, settings: Settings, client: ProviderClient | None = None) -> None:
        self._settings = settings
        self.client = client or ProviderClient(settings)

    @cached_property
    def _secret(self) -> str:
        return secret(self._settings.secrets_dir, "sign_in_states")

    async def begin(self, provider: Provider, app: str) -> tuple[str, str]:
        """The provider's address that a browser is sent to, and the code verifier that it keeps.

        Raises:
            RefusalError: ``bad_provider``, ``provider_unavailable``.
        """
        metadata = await self.client.metadata(provider.tenant, provider.issuer)
        verifier = secrets.token_urlsafe(48)
        challenge = challenge_of(verifier)
        claims = {
            "aud": _audience(provider.tenant),
            "exp": datetime.now(UTC) + AT_THE_PROVIDER,
            "jti": secrets.token_urlsafe(16),
            "provider": provider.name,
            "challenge": challenge,
            "app": app,
        }
        asked = {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": redirect_uri(self._settings, provider.tenant),
            "scope": "openid email",
            "state": jwt.encode(claims, self._secret, algorithm=_SIGNED_BY),
            "nonce": nonce_of(verifier),
            "code_challenge": challenge,
            "code_challenge_method": CHALLENGE_METHOD,
        }
        return add_params_to_uri(metadata.authorization_endpoint, list(asked.items())), verifier

    def state(self, tenant: str, text: str, verifier: str) -> State:
        """The state of a browser that comes back, if it is the one that began, at this tenant, and in time.

        Raises:
            RefusalError: ``bad_state``.
        """
        try:
            claims: dict[str, Any] = jwt.decode(
                text if len(text) <= _LONGEST else "",
                self._secret,
                algorithms=[_SIGNED_BY],
                audience=_audience(tenant),
                options={"require": _STATED},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise RefusalError("bad_state", f"the state is refused: {type(error).__name__}") from error
        if not verifier.isascii() or not hmac.compare_digest(challenge_of(verifier), claims["challenge"]):
            raise RefusalError("bad_state", "the state is refused: another browser began")
        until = datetime.fromtimestamp(claims["exp"], UTC)
        return State(claims["provider"], claims["challenge"], claims["app"], digest(claims["jti"]), until)

    async def subject(self, provider: Provider, back: Return) -> tuple[str, str | None]:
        """Whom the provider has signed in: subject, and address where it has verified one.

        Raises:
            RefusalError: ``provider_refused``, ``bad_id_token``; ``bad_provider``, ``provider_unavailable``.
        """
        metadata = await self.client.metadata(provider.tenant, provider.issuer)
        if back.issuer not in (None, provider.issuer):
            raise RefusalError("provider_refused", "the answer is of another issuer")
        if back.issuer is None and metadata.authorization_response_iss_parameter_supported:
            raise RefusalError("provider_refused", "the answer does not say of which issuer it is")
        if back.code is None:
            raise RefusalError("provider_refused", "the provider has signed nobody in")
        where = redirect_uri(self._settings, provider.tenant)
        tokens = await self.client.redeem(provider, back.code, where, back.verifier)
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise RefusalError("bad_id_token", "the provider gives no ID token")
        key = await self.client.key(provider.tenant, provider.issuer, token)
        claims = claims_of(token, key, Expected(provider.issuer, provider.client_id, nonce_of(back.verifier)))
        if "email" not in claims:
            more = await self.client.user_info(provider, str(tokens["access_token"]))
            if more.get("sub") == claims["sub"]:
                claims = more
        return claims["sub"], verified_address(claims)


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a code verifier (RFC 7636, section 4.2)."""
    challenge: str = WebApplicationClient("").create_code_challenge(verifier, CHALLENGE_METHOD)
    return challenge


def nonce_of(verifier: str) -> str:
    """The nonce of the log-in of a verifier: a hash of what the browser's cookie has (Core 1.0, section 15.5.2), and
    another one than the challenge, which everybody sees."""
    return hashlib.sha256(f"nonce {verifier}".encode()).hexdigest()


def new_sign_in(tenant: str) -> str:
    """A token that finishes a log-in which the provider has answered; its hash alone is stored."""
    return new_token(tenant, SIGN_IN)


def _audience(tenant: str) -> str:
    return f"log-in to {tenant}"
