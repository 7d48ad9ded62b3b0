"""Export: everything that is stored about a customer, as one archive with the hash of each part."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from valueverse.errors import RefusalError
from valueverse.platform.lake import Lake
from valueverse.platform.protection import DataKeys, wrapping_of
from valueverse.platform.stores import privacy_store
from valueverse.platform.warehouse import connect
from valueverse.services.privacy.erase_subject import recorded, retained_cell
from valueverse.services.privacy.subject import customer_events, events_about, quarantined_about, quoted

if TYPE_CHECKING:
    from datetime import datetime

    import polars as pl
    import psycopg

    from valueverse.platform.settings import Settings

FORMAT = "valueverse.privacy-export/v1"
_INSTANT = (1980, 1, 1, 0, 0, 0)
"""Of each part in the archive: the same data make the same bytes."""


@dataclass(frozen=True)
class SubjectExport:
    """An export.

    Attributes:
        archive: a ZIP file: JSON lines of each table that has something, and ``manifest.json``.
        manifest: schema, tenant, customer, made_at, restricted, and of each part its rows and SHA-256.
        digest: SHA-256 of the manifest, which the audit log has.
    """

    archive: bytes
    manifest: dict[str, Any]
    digest: str


def export_subject(settings: Settings, tenant: str, customer: str, now: datetime) -> SubjectExport:
    """Everything that lake and warehouse hold about a customer; the audit log gets an entry.

    Raises:
        RefusalError: ``unknown_customer``; ``data_key_unreadable``, ``key_server_unreachable``, ``key_server_refused``.
    """
    with connect(settings, "builder") as connection:
        parts = {name: rows for name, rows in privacy_store.rows_about(connection, tenant, customer).items() if rows}
        parts |= _of_lake(Lake(settings.lake_url), tenant, customer, parts)
        if not parts:
            raise RefusalError("unknown_customer", f"tenant {tenant!r} has no customer {customer!r}", "--customer")
        parts |= _retained(connection, settings, tenant, customer)
        texts = {f"{name}.ndjson": "".join(f"{row}\n" for row in rows).encode() for name, rows in parts.items()}
        manifest = {
            "schema": FORMAT,
            "tenant": tenant,
            "customer": customer,
            "made_at": now.isoformat(),
            "restricted": privacy_store.restriction(connection, tenant, customer) is not None,
            "parts": [
                {"name": name, "rows": text.count(b"\n"), "sha256": hashlib.sha256(text).hexdigest()}
                for name, text in sorted(texts.items())
            ],
        }
        digest = recorded(connection, tenant, "exported", customer, manifest)
    return SubjectExport(
        _archive(texts | {"manifest.json": orjson.dumps(manifest, option=orjson.OPT_INDENT_2)}), manifest, digest
    )


def _of_lake(lake: Lake, tenant: str, customer: str, parts: dict[str, list[str]]) -> dict[str, list[str]]:
    """Events and refused lines."""
    subscriptions = [orjson.loads(row)["subscription"] for row in parts.get("billing.subscription", ())]
    invoices = [orjson.loads(row)["number"] for row in parts.get("billing.invoice", ())]
    events = events_about(lake, tenant, customer, subscriptions, [number for number in invoices if number])
    refused = quarantined_about(lake, tenant, quoted(customer, customer_events(lake, tenant, customer)))
    found = {"lake.events": _json_rows(events), "lake.quarantine": _json_rows(refused)}
    return {name: rows for name, rows in found.items() if rows}


def _retained(
    connection: psycopg.Connection[Any], settings: Settings, tenant: str, customer: str
) -> dict[str, list[str]]:
    """Who was billed, as it is retained after an erasure."""
    rows = privacy_store.retained(connection, tenant, customer)
    cells = [(retained_cell(tenant, customer, row["begun_at"]), bytes(row["retained"])) for row in rows]
    found = DataKeys(connection, wrapping_of(settings)).open(cells) if cells else []
    texts = [value.decode() for value in found if value is not None]
    return {"retained": texts} if texts else {}


def _json_rows(frame: pl.DataFrame) -> list[str]:
    return frame.write_ndjson().splitlines()


def _archive(parts: dict[str, bytes]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in sorted(parts.items()):
            archive.writestr(zipfile.ZipInfo(name, _INSTANT), text, zipfile.ZIP_DEFLATED)
    return whole.getvalue()
