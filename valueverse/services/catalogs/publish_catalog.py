"""Publishing a catalog: a ``billing.catalog.published`` event in the tenant's landing folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.catalog import catalog_document, catalog_hash
from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.events import CATALOG_PUBLISHED
from valueverse.platform.settings import TENANT_KEY
from valueverse.services.ingestion.deliver import deliver

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from valueverse.catalog import Catalog


def publish_catalog(landing: Path, tenant: str, catalog: Catalog, effective: datetime) -> tuple[Path, bool]:
    """Deliver the catalog; the next ingestion takes it, and it holds from ``effective`` on.

    The event's id is the catalog's hash and its instant: to publish the same again changes nothing.

    Returns:
        The file, and whether it was written now (False: the same publication waits there already).

    Raises:
        RefusalError: ``bad_tenant``.
    """
    if not TENANT_KEY.fullmatch(tenant):
        raise RefusalError(
            "bad_tenant", f"{tenant!r} is not a tenant key: a-z, 0-9, '_', '.', '-', at most 63", "--tenant"
        )
    event = catalog_published(tenant, catalog, effective)
    return deliver(landing, tenant, f"{catalog_file(catalog)}-{effective:%Y%m%dT%H%M%S}.ndjson", [event])


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
