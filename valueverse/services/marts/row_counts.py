"""How many rows a mart holds, for whoever watches publications."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.platform.stores import mart_metrics
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings


def rows_of(settings: Settings, mart: str) -> int:
    """Rows of a table of schema ``marts``, of all tenants together.

    Raises:
        RefusalError: ``warehouse_unreachable``.
    """
    with connect(settings, "builder") as connection:
        return mart_metrics.count_rows(connection, mart)
