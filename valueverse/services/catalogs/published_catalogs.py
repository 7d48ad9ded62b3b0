"""Catalogs that a tenant has published, and the plans in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog import CatalogHistory, catalog_document
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
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


def published_plans(
    log: BillingLog, catalog: str | None, known_at: datetime | None, moment: datetime
) -> list[dict[str, Any]]:
    """The plans of one publication, in the order of its document, each as that writes it, with the hash of the
    ``catalog``, from when it holds and the currency of its amounts.

    Args:
        log: the tenant's billing events.
        catalog: hash of the catalog; None: the one in force.
        known_at: as known at this instant; None: now.
        moment: now.

    Raises:
        RefusalError: ``unknown_catalog``.
    """
    history = CatalogHistory.from_facts(log.facts(), known_at)
    in_force = pl.col("effective_at") <= (known_at or moment)
    wanted = in_force if catalog is None else pl.col("catalog_hash") == catalog
    rows = history.versions.filter(wanted).sort("effective_at").tail(1).to_dicts()
    if not rows:
        if catalog is None:
            return []
        raise RefusalError("unknown_catalog", f"no catalog of this tenant has the hash {catalog[:80]!r}", "catalog")
    [row] = rows
    found = history.catalogs[row["catalog_hash"]]
    of = {"catalog": row["catalog_hash"], "from": utc_text(row["effective_at"]), "currency": found.currency}
    return [of | plan for plan in catalog_document(found)["plans"]]
