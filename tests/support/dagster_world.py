"""A Dagster instance of a test's own, in a database of its own: event logs decide what is out of date."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING

from valueverse.platform import warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings


@contextmanager
def own_instance(settings: Settings) -> Iterator[Settings]:
    """The same settings with an empty Dagster database, dropped afterwards."""
    own = settings.model_copy(update={"dagster_database": f"d_{secrets.token_hex(6)}"})
    warehouse.create_database(own, own.dagster_database)
    yield own
    warehouse.drop_database(own, own.dagster_database)
