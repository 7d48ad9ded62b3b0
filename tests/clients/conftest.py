"""A server with a world of its own, for the clients of both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.serving import seed
from tests.support.serving_process import running
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.serving_process import Server
    from valueverse.platform.settings import Settings


@pytest.fixture(scope="module")
def keys(module_settings: Settings) -> dict[str, str]:
    """Keys of the seeded tenants that may do everything."""
    tenants = seed(module_settings)
    with connect(module_settings, "builder") as connection:
        return {tenant: issue_api_key(connection, tenant, ["admin"]) for tenant in tenants}


@pytest.fixture(scope="module")
def server(
    module_settings: Settings, keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server process over the module's world."""
    with running(module_settings, keys, tmp_path_factory.mktemp("server") / "api.log") as started:
        yield started
