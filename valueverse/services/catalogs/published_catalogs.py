"""Catalogs that a tenant has published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.catalog import CatalogHistory
from valueverse.dates import utc_text
from valueverse.services.catalogs.check_catalog import contents

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.services.subscriptions.billing_log import BillingLog


def published_catalogs(log: BillingLog, known_at: datetime | None) -> list[dict[str, Any]]:
    """Each publication that counts, the newest first: hash, from when it holds, when it was received, what it sells.

    Args:
        log: the tenant's billing events.
        known_at: as known at this instant; None: now.
    """
    history = CatalogHistory.from_facts(log.facts(), known_at)
    rows = history.versions.sort("effective_at", descending=True).iter_rows(named=True)
    return [
        {
            "hash": row["catalog_hash"],
            "from": utc_text(row["effective_at"]),
            "received_at": utc_text(row["received_at"]),
            **contents(history.catalogs[row["catalog_hash"]]),
        }
        for row in rows
    ]
