"""The end of what was delivered, or given up, long ago."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.platform.stores import webhook_store as store
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

AT_ONCE = 5000
"""Deliveries of one transaction: a long one would keep the tables from being cleaned."""


def purge_deliveries(settings: Settings, at_once: int = AT_ONCE) -> int:
    """Remove deliveries, with their attempts, after the days that the settings say; how many.

    That a tenant was notified stays known, so that a run that is repeated does not notify again.
    """
    removed = 0
    with connect(settings, "builder", autocommit=True) as connection:
        while True:
            count = store.purge(connection, settings.webhook_days, settings.webhook_dead_days, at_once)
            removed += count
            if count < at_once:
                return removed
