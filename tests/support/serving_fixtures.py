"""Fixtures of the tests of the API; their conftest takes them in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.serving import Api, seed, serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from valueverse.platform.settings import Settings


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def keys(module_settings: Settings) -> dict[str, str]:
    """An API key of each of the three seeded tenants."""
    return seed(module_settings)


@pytest.fixture
async def api(module_settings: Settings, keys: dict[str, str]) -> AsyncIterator[Api]:
    """The app over the module's world."""
    async with serving(module_settings, keys) as running:
        yield running
