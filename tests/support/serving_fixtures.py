"""Fixtures of the tests of the API; their conftest takes them in."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.serving import Api, seed, serving
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from valueverse.platform.settings import Settings


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def keys(module_settings: Settings) -> dict[str, str]:
    """An API key of each of the three seeded tenants."""
    return seed(module_settings)


@pytest.fixture(scope="module")
async def served(module_settings: Settings, keys: dict[str, str]) -> AsyncIterator[Api]:
    """The app over the module's world: to begin it, keys are read, the database is checked and routes are made."""
    async with serving(module_settings, keys) as running:
        yield running


@pytest.fixture
def api(served: Api) -> Iterator[Api]:
    """The module's app as if it had just begun: nothing logged, nobody signed in, nothing replaced or cached."""
    parts = vars(served.app.state.service)
    before = dict(parts)
    served.log.seek(0)
    served.log.truncate()
    served.client.cookies.clear()
    yield replace(served, tokens={})
    parts.clear()
    parts.update(before)


def keys_of_acme_and_birch(settings: Settings) -> dict[str, str]:
    """Keys of acme, whose rows are there, and of birch, which nothing is known of but that it exists."""
    with connect(settings, "builder") as connection:
        connection.execute(
            "insert into billing.tenant (tenant_id, name, timezone, currency) values ('birch', 'b', 'UTC', 'USD')"
        )
        return {one: issue_api_key(connection, one, ["billing:read", "billing:write"]) for one in ("acme", "birch")}
