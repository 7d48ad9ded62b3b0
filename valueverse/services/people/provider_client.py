"""What identity providers (OpenID Connect) say of themselves, and answer to codes: asked by the guarded network.

Whatever comes is bounded: in bytes, in seconds, and in requests that are under way for one tenant, so that a provider
which is slow or hostile costs its own tenant's log-ins and nobody else's. Nothing of an answer is shown to anybody.
"""

from __future__ import annotations

import base64
import re
import time
from collections import Counter, OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus, urlsplit

import orjson
from oauthlib.oauth2 import OAuth2Error
from oauthlib.oauth2.rfc6749.parameters import parse_token_response, prepare_token_request
from pydantic import BaseModel, ConfigDict, ValidationError

from valueverse.errors import RefusalError
from valueverse.platform.outbound import GuardedNetwork, Message, is_address, json_object, send
from valueverse.services.people.id_tokens import ALGORITHM, is_signed, key_id, key_set

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpcore
    import jwt

    from valueverse.platform.settings import Settings
    from valueverse.services.people.provider import Provider

CHALLENGE_METHOD = "S256"
KNOWN_FOR = 600
"""Seconds that documents and keys of a provider are taken from memory."""
ASKED_AGAIN_AFTER = 10
"""Seconds before keys are asked for again because none of them signed a token."""
AT_ONCE = 8
"""Requests to one tenant's provider that are under way at once."""
_MOST_BYTES = 256 * 1024
_MOST_KNOWN = 1000
_TOKEN = re.compile(r"[!-~]+")
"""Access tokens (RFC 6749, appendix A.12), without the space, which ends one in a header."""
_BASIC, _POST = "client_secret_basic", "client_secret_post"


class Metadata(BaseModel):
    """A provider's document about itself (Discovery 1.0, section 3), as far as it matters here."""

    model_config = ConfigDict(frozen=True, strict=True)
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    code_challenge_methods_supported: list[str] | None = None
    id_token_signing_alg_values_supported: list[str] = [ALGORITHM]
    token_endpoint_auth_methods_supported: list[str] = [_BASIC]
    authorization_response_iss_parameter_supported: bool = False


@dataclass
class _Known:
    """What is remembered of a tenant's provider, and when it was read."""

    metadata: Metadata
    read_at: float
    keys: dict[str, jwt.PyJWK] = field(default_factory=dict)
    keys_at: float | None = None


class ProviderClient:
    """Asks providers, and remembers for some minutes what they say of themselves.

    Args:
        settings: of the installation.
        network: how providers are reached.
        clock: seconds, as ``time.monotonic`` counts them.
        seconds: an answer may take.
    """

    def __init__(
        self,
        settings: Settings,
        network: httpcore.AsyncNetworkBackend | None = None,
        clock: Callable[[], float] = time.monotonic,
        seconds: float = 5,
    ) -> None:
        self._private, self._silent = settings.oidc_private_addresses, settings.pkce_hosts
        self._network = network or GuardedNetwork(private=self._private)
        self._clock, self._seconds = clock, seconds
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()
        self._busy: Counter[str] = Counter()

    async def check(self, tenant: str, issuer: str) -> None:
        """Ask a provider for its documents now, whatever is remembered.

        Raises:
            RefusalError: ``bad_provider``, ``provider_unavailable``.
        """
        self._known.pop((tenant, issuer), None)
        known = await self._documents(tenant, issuer)
        if not await self._keys(tenant, known):
            raise _bad(f"{issuer} has no RSA key that signs ID tokens by {ALGORITHM}")

    async def metadata(self, tenant: str, issuer: str) -> Metadata:
        """What the provider says of itself.

        Raises:
            RefusalError: ``bad_provider``, ``provider_unavailable``.
        """
        return (await self._documents(tenant, issuer)).metadata

    async def key(self, tenant: str, issuer: str, token: str) -> jwt.PyJWK:
        """The provider's key that a token names; keys are asked for again where it is a new one, or has not signed the
        token: a provider may have put another in its place. Forged tokens make us ask no more often.

        Raises:
            RefusalError: ``bad_id_token``: it has none; ``bad_provider``, ``provider_unavailable``.
        """
        name, known = key_id(token), await self._documents(tenant, issuer)
        most = KNOWN_FOR if name in known.keys and is_signed(token, known.keys[name]) else ASKED_AGAIN_AFTER
        if known.keys_at is None or self._clock() - known.keys_at >= most:
            await self._keys(tenant, known)
        if name not in known.keys:
            raise RefusalError("bad_id_token", "the ID token is refused: its provider has no such key")
        return known.keys[name]

    async def redeem(self, provider: Provider, code: str, redirect_uri: str, verifier: str) -> dict[str, Any]:
        """The tokens that a code stands for (RFC 6749, section 4.1.3; RFC 7636, section 4.5).

        Raises:
            RefusalError: ``provider_refused``: the code is not good, or of another log-in; ``bad_provider``,
                ``provider_unavailable``.
        """
        metadata = await self.metadata(provider.tenant, provider.issuer)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        own = {"client_id": provider.client_id}
        methods = metadata.token_endpoint_auth_methods_supported
        if _BASIC in methods or _POST not in methods:
            named = f"{quote_plus(provider.client_id)}:{quote_plus(provider.client_secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(named.encode()).decode()}"
        else:
            own["client_secret"] = provider.client_secret
        form = prepare_token_request(
            "authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=verifier, **own
        )
        status, body = await self._ask(
            provider.tenant, Message("POST", metadata.token_endpoint, headers, form.encode())
        )
        # What is read of the answer is text or a number; what is nested is left out, before anybody parses it again.
        plain = {name: one for name, one in (json_object(body) or {}).items() if not isinstance(one, dict | list)}
        try:
            tokens: dict[str, Any] = dict(parse_token_response(orjson.dumps(plain)))
        except OAuth2Error as error:
            if error.error == "invalid_grant":
                raise RefusalError("provider_refused", "the provider does not know the code") from error
            raise _bad(f"{metadata.token_endpoint} answers {status}: {error.error}") from error
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise _bad(f"{metadata.token_endpoint} answers {status} without tokens") from error
        if not _TOKEN.fullmatch(str(tokens["access_token"])):
            raise _bad(f"{metadata.token_endpoint} answers an access token that no header can hold")
        return tokens

    async def user_info(self, provider: Provider, access_token: str) -> dict[str, Any]:
        """Claims that the provider does not put into ID tokens (Core 1.0, section 5.3); none without an endpoint.

        Raises:
            RefusalError: ``bad_provider``, ``provider_unavailable``.
        """
        address = (await self.metadata(provider.tenant, provider.issuer)).userinfo_endpoint
        if address is None:
            return {}
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        return await self._document(provider.tenant, Message("GET", address, headers))

    async def _documents(self, tenant: str, issuer: str) -> _Known:
        place, now = (tenant, issuer), self._clock()
        known = self._known.get(place)
        if known is None or now - known.read_at >= KNOWN_FOR:
            if not is_address(issuer, private=self._private) or "?" in issuer:
                raise _bad(f"{issuer!r} is no issuer: write https://host, or https://host/path")
            address = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            known = _Known(self._judged(issuer, await self._document(tenant, Message("GET", address))), now)
            self._known[place] = known
            while len(self._known) > _MOST_KNOWN:
                self._known.popitem(last=False)
        self._known.move_to_end(place)
        return known

    async def _keys(self, tenant: str, known: _Known) -> dict[str, jwt.PyJWK]:
        known.keys_at = self._clock()
        known.keys = key_set(await self._document(tenant, Message("GET", known.metadata.jwks_uri)))
        return known.keys

    def _judged(self, issuer: str, document: dict[str, Any]) -> Metadata:
        try:
            found = Metadata.model_validate(document)
        except ValidationError as error:
            place = ".".join(map(str, error.errors()[0]["loc"]))
            raise _bad(f"{issuer} states no usable {place} in its openid-configuration") from error
        if found.issuer != issuer:
            raise _bad(f"the provider calls itself another issuer than {issuer}: write it letter for letter")
        stated = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri, found.userinfo_endpoint)
        if not all(one is None or is_address(one, private=self._private) for one in stated):
            raise _bad(f"{issuer} states an endpoint that is no https address")
        challenges, host = found.code_challenge_methods_supported, urlsplit(issuer).hostname
        if challenges is None and host not in self._silent:
            raise _bad(
                f"{issuer} does not say that it takes code challenges by {CHALLENGE_METHOD} (PKCE): where its "
                f"documentation does, whoever runs the installation names {host} in VALUEVERSE_OIDC_PKCE_UNSTATED"
            )
        if challenges is not None and CHALLENGE_METHOD not in challenges:
            raise _bad(f"{issuer} does not take code challenges by {CHALLENGE_METHOD} (PKCE)")
        if ALGORITHM not in found.id_token_signing_alg_values_supported:
            raise _bad(f"{issuer} does not sign ID tokens by {ALGORITHM}")
        return found

    async def _document(self, tenant: str, message: Message) -> dict[str, Any]:
        status, body = await self._ask(tenant, message)
        found = json_object(body) if status == 200 else None
        if found is None:
            raise _bad(f"{message.url} answers {status}, and no JSON object")
        return found

    async def _ask(self, tenant: str, message: Message) -> tuple[int, bytes]:
        with self._place(tenant):
            answer = await send(message, self._network, self._seconds, _MOST_BYTES)
        if answer.status is None or answer.reason or answer.status >= 500:
            raise _unavailable(f"{message.url}: {answer.reason or f'it answers {answer.status}'}")
        if len(answer.body) > _MOST_BYTES:
            raise _bad(f"{message.url} answers more than {_MOST_BYTES} bytes")
        return answer.status, answer.body

    @contextmanager
    def _place(self, tenant: str) -> Iterator[None]:
        if self._busy[tenant] >= AT_ONCE:
            raise _unavailable(f"{AT_ONCE} requests to it are under way")
        self._busy[tenant] += 1
        try:
            yield
        finally:
            self._busy[tenant] -= 1
            self._busy += Counter()


def _bad(reason: str) -> RefusalError:
    return RefusalError("bad_provider", reason, "issuer")


def _unavailable(reason: str) -> RefusalError:
    return RefusalError("provider_unavailable", f"the identity provider does not answer: {reason}", "issuer")
