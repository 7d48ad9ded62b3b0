"""Publishing a catalog: a ``billing.catalog.published`` event in the tenant's landing folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.catalog import catalog_document, catalog_hash
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.events import CATALOG_PUBLISHED, refuse_payment_numbers
from valueverse.services.ingestion.deliver import deliver
from valueverse.services.subscriptions.billing_log import VOID_IT, named_event, read_log

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from valueverse.catalog import Catalog
    from valueverse.platform.lake import Lake
    from valueverse.services.subscriptions.billing_log import BillingLog, WaitingRequest


def publish_catalog(
    lake: Lake,
    landing: Path,
    tenant: str,
    catalog: Catalog,
    effective: datetime,
    *,
    new_tenant: bool = False,
    requests: Sequence[WaitingRequest] = (),
) -> tuple[Path, bool]:
    """Deliver the catalog; the next ingestion takes it, and it holds from ``effective`` on.

    The event's id is the catalog's hash and its instant: to publish the same again changes nothing, unless that was
    voided.

    Args:
        lake: what was received.
        landing: where the event is written.
        tenant: who sells by the catalog.
        catalog: what it holds.
        effective: from when on.
        new_tenant: the tenant need not exist: its first catalog brings it into being (contracts.md, section 1).
        requests: what waits in the tenant's inbox.

    Returns:
        The file, and whether it was written now (False: the same publication waits there already).

    Raises:
        RefusalError: ``bad_tenant``; ``unknown_tenant``; ``already_stated`` where another catalog holds from that
            instant on: received together, their ids would decide which of them does.
    """
    log = read_log(lake, landing, tenant, effective, requests)
    if not new_tenant:
        log.require_tenant(lake, "`valueverse tenants add` makes one, and so does --new-tenant")
    event = planned_catalog(log, catalog, effective, "--effective")
    again = event["id"].removeprefix(catalog_published(tenant, catalog, effective)["id"]).replace("/", "-")
    return deliver(landing, tenant, f"{catalog_file(catalog)}-{effective:%Y%m%dT%H%M%S}{again}.ndjson", [event])


def planned_catalog(log: BillingLog, catalog: Catalog, effective: datetime, place: str) -> dict[str, Any]:
    """The event that publishes a catalog, under an id that is free; ``place`` is what names the instant.

    Raises:
        RefusalError: ``already_stated``, ``payment_instrument``.
    """
    event = log.under_free_id(catalog_published(log.tenant, catalog, effective))
    refuse_payment_numbers(event["data"])
    others = log.at(effective).filter(pl.col("type") == CATALOG_PUBLISHED, pl.col("id") != event["id"])
    for row in others.head(1).iter_rows(named=True):
        what = f"a catalog of {log.tenant!r} from that instant on is there already ({named_event(row)})"
        raise RefusalError("already_stated", f"{what}: choose another {place}, or {VOID_IT}", place)
    return event


def catalog_file(catalog: Catalog) -> str:
    """How the names of the files begin that publish this catalog."""
    return f"catalog-{catalog_hash(catalog)[:12]}"


def catalog_published(tenant: str, catalog: Catalog, effective: datetime) -> dict[str, Any]:
    """The CloudEvent that publishes a catalog (contracts.md, section 2)."""
    time = utc_text(effective)
    return {
        "specversion": "1.0",
        "id": f"catalog/{catalog_hash(catalog)}/{time}",
        "source": "valueverse/catalog",
        "type": CATALOG_PUBLISHED,
        "time": time,
        "tenant": tenant,
        "data": catalog_document(catalog),
    }
