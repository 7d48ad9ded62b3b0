"""A server of this folder's own: its tests change roles, databases and other sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import shared_servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings


@pytest.fixture(scope="session")
def own_server() -> Iterator[Settings]:
    """Settings of a migrated warehouse on a server that no other test uses."""
    with shared_servers.own_cluster() as settings:
        yield settings
