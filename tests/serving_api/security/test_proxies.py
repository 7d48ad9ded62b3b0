"""The client's address behind proxies: a header that a trusted proxy wrote, and that nobody else can write."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING

import httpx
import pytest
from pydantic import ValidationError

from serving_api.app import create_app
from serving_api.security.rate_limits import Limiter
from tests.support.serving import assert_problem
from valueverse.platform.settings import Settings
from valueverse.platform.telemetry.logs import make_log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from serving_api.service import Service

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]
PROXY, SECOND, CLIENT, OTHER = "10.1.2.3", "10.1.2.4", "203.0.113.9", "203.0.113.10"
MOST = 4
_HOURS = count()
"""The limits of each test are full."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def asked_from(
    settings: Settings, address: str, trusted: str = f"{PROXY}, 10.1.2.4/31"
) -> AsyncIterator[tuple[Service, httpx.AsyncClient]]:
    """The API's limits and a client whose connections come from ``address``."""
    instant = 1_700_000_000_000_000 + next(_HOURS) * 3_600_000_000
    app = create_app(settings.model_copy(update={"trusted_proxies": trusted}), log=make_log())
    service: Service = app.state.service
    service.limiter = Limiter(settings.redis_url, service.log, MOST, clock=lambda: instant)
    transport = httpx.ASGITransport(app=app, client=(address, 50_000))
    async with httpx.AsyncClient(transport=transport, base_url="http://api.test") as client:
        yield service, client
    await service.close()


async def guess(client: httpx.AsyncClient, *forwarded: str) -> httpx.Response:
    """The answer to a refresh token that is none, with a header for each of these."""
    headers = [("X-Forwarded-For", one) for one in forwarded]
    return await client.post("/v1/sessions/refresh", json={"refresh_token": "none"}, headers=headers)


async def counted(service: Service) -> set[str]:
    """Addresses that wrong credentials were counted against."""
    asked = (CLIENT, OTHER, PROXY, SECOND, "198.51.100.7", "2001:db8::7", "2001:db8::/64", "unknown")
    return {one for one in asked if (await service.limiter.spend(f"address:{one}", 0)).remaining < MOST}


async def test_an_untrusted_client_cannot_choose_its_address(module_settings: Settings) -> None:
    """By no header, with any trusted proxy or none; so it guesses as often as one client may."""
    for address, trusted in ((CLIENT, f"{PROXY}"), (PROXY, "")):
        async with asked_from(module_settings, address, trusted) as (service, client):
            for number in range(MOST):
                assert_problem(await guess(client, f"198.51.100.{number}"), 401, "invalid-credentials")
            assert_problem(await guess(client, "198.51.100.7"), 429, "rate-limited")
            assert "198.51.100.7" not in await counted(service)
            assert address in await counted(service)


@pytest.mark.parametrize(
    ("forwarded", "found"),
    [
        ((CLIENT,), CLIENT),
        ((f"198.51.100.7, {CLIENT}",), CLIENT),
        (("198.51.100.7", CLIENT), CLIENT),
        ((f"198.51.100.7, {CLIENT}, {SECOND}",), CLIENT),
        ((f"{CLIENT}:50123",), CLIENT),
        (("2001:DB8:0::7",), "2001:db8::/64"),
        (("[2001:db8::ffff:1:7]:443",), "2001:db8::/64"),
        ((f"::ffff:{CLIENT}",), CLIENT),
        (("made up",), "unknown"),
        ((), PROXY),
    ],
)
async def test_a_trusted_proxy_says_who_asks(module_settings: Settings, forwarded: tuple[str, ...], found: str) -> None:
    """The last address that is no proxy's: what the client wrote before it is not looked at, nor is a port."""
    async with asked_from(module_settings, PROXY) as (service, client):
        assert_problem(await guess(client, *forwarded), 401, "invalid-credentials")
        assert await counted(service) == {found}


async def test_one_client_behind_a_proxy_keeps_no_other_out(module_settings: Settings) -> None:
    async with asked_from(module_settings, PROXY) as (_, client):
        for _ in range(MOST):
            await guess(client, CLIENT)
        assert_problem(await guess(client, CLIENT), 429, "rate-limited")
        assert_problem(await guess(client, OTHER), 401, "invalid-credentials")


@pytest.mark.parametrize("text", ["*", "localhost", "10.1.2.3/16", "0.0.0.0/0", "::/0", "10.1.2.3 10.1.2.4"])
def test_everybody_or_a_name_is_no_trusted_proxy(text: str) -> None:
    with pytest.raises(ValidationError, match=r"trusted_proxies|TRUSTED_PROXIES"):
        Settings(trusted_proxies=text)
