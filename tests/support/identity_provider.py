"""An identity provider in a test: the real one of npm's ``oidc-provider``, and how a browser goes there and back."""

from __future__ import annotations

import base64
import hashlib
import ssl
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.support import node
from tests.support.serving import assert_problem
from valueverse.platform.warehouse import connect
from valueverse.services.people.identity_providers import ChangedBy, show_provider, store_provider
from valueverse.services.people.provider import Provider

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.serving import Api
    from valueverse.platform.settings import Settings

FOLDER = node.ROOT / "tests" / "node" / "identity_provider"
CLIENT, SECRET = "valueverse", "of-the-provider-s3cret"
APP_VERIFIER = "of the web app ".replace(" ", "-") * 4
"""What the web app keeps while somebody signs in."""


@contextmanager
def running(*redirects: str) -> Iterator[str]:
    """A provider that sends browsers back to these addresses; its issuer."""
    folder = node.installed(FOLDER)
    process = subprocess.Popen(
        [node.NODE, "provider.js", ",".join(redirects), SECRET],
        cwd=folder,
        env=node.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def provide(settings: Settings, tenant: str, issuer: str, client: str = CLIENT) -> None:
    """Let a tenant sign in by a provider; a log-in that began before is not finished after it."""
    before = show_provider(settings, tenant)
    given = Provider(tenant, issuer, client, SECRET)
    store_provider(settings, given, ChangedBy(), before["provider"] if before else None)


def challenge(verifier: str) -> str:
    """The S256 challenge of a verifier."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Browser:
    """Somebody who signs in: the API's client, whose cookies are the browser's.

    Attributes:
        api: that is asked.
        tenant: that is signed in to.
    """

    api: Api
    tenant: str = "acme"

    async def begin(self) -> httpx.Response:
        """The answer to the start of a log-in."""
        query = {"code_challenge": challenge(APP_VERIFIER)}
        return await self.api.client.get(f"/v1/auth/oidc/{self.tenant}/start", params=query)

    async def at_provider(self, name: str | None) -> str:
        """Where the provider sends the browser back to, once ``name`` (None: nobody) has signed in there."""
        begun = await self.begin()
        assert begun.status_code == 303, begun.text
        return await at_provider(begun.headers["location"], name)

    async def come_back(self, address: str) -> httpx.Response:
        """The answer to what the provider sent."""
        return await self.api.client.get(address)

    async def finish(self, token: str, **more: str) -> httpx.Response:
        """The answer to the web app, which shows its verifier."""
        body = {"token": token, "code_verifier": APP_VERIFIER, **more}
        return await self.api.client.post("/v1/auth/oidc/session", json=body)

    async def sign_in(self, name: str) -> httpx.Response:
        """The answer to the last step of a log-in as ``name``; to the step before it where that is refused."""
        back = await self.come_back(await self.at_provider(name))
        return await self.finish(token_of(back)) if back.status_code == 303 else back


def browser() -> httpx.AsyncClient:
    """A client without cookies, and without the authorities for certificates, which take long to be read."""
    return httpx.AsyncClient(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def token_of(back: httpx.Response) -> str:
    """The token in the address of the web app that the browser is sent to."""
    assert back.status_code == 303, back.text
    return back.headers["location"].partition("#")[2]


async def at_provider(location: str, name: str | None) -> str:
    """Sign in as ``name`` (None: give up) where ``location`` leads; the address that the provider sends back to."""
    async with browser() as client:
        asked = await client.get(location)
        while asked.status_code == 303 and "/callback?" not in asked.headers["location"]:
            address = str(asked.url.join(asked.headers["location"]))
            query = {"as": name} if name and "/sign-in/" in address else None
            asked = await client.get(address, params=query)
        assert asked.status_code == 303, asked.text
        return asked.headers["location"]


def parameters(address: str) -> dict[str, str]:
    """Of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def refused(answer: httpx.Response) -> dict[str, Any]:
    """The one answer to whoever is not let in."""
    return assert_problem(answer, 401, "invalid-credentials")


def account(settings: Settings, tenant: str, email: str) -> tuple[Any, ...] | None:
    """Role, hash of the password and subject of whoever has an address."""
    query = "select role, password_hash, provider_subject from auth.user_account where tenant_id = %s and email = %s"
    with connect(settings, "admin") as connection:
        return connection.execute(query, [tenant, email]).fetchone()
