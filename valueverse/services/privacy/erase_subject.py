"""Erasure: what is personal of a customer goes; what was billed stays as it was and stays provable.

The order makes a stopped erasure repeatable. What has to be retained is sealed first. What is found by the customer's
texts goes next, while the events that state them are still there: answers, deliveries, refused lines. Then the events
are rewritten; warehouse, keys and evidence follow in one transaction.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl
import rfc8785

from valueverse.errors import RefusalError
from valueverse.events import without_personal_fields
from valueverse.platform.lake import Lake
from valueverse.platform.protection import Cell, DataKeys, wrapping_of
from valueverse.platform.stores import data_key_store, instrument_store, privacy_store
from valueverse.platform.warehouse import connect
from valueverse.services.ingestion.file_manifest import MANIFEST_TABLE, unpublished
from valueverse.services.ingestion.ingest import ingestion_lock
from valueverse.services.ingestion.run_ingestion import run_ingestion
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, EVENTS_TABLE, QUARANTINE_TABLE
from valueverse.services.privacy.erasure_register import register
from valueverse.services.privacy.subject import customer_events, quarantined_about, quoted
from valueverse.services.usage.derive_usage import facts_of, write_facts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import psycopg

    from valueverse.platform.settings import Settings

RETAINED_YEARS = 10
"""Calendar years after the one of the newest invoice for which who was billed is retained."""
_ERASED = "erased"


@dataclass(frozen=True)
class Erasure:
    """What an erasure did.

    Attributes:
        rows: table of the lake or the warehouse -> rows that were changed or removed.
        keys: versions of the customer's data key that were destroyed.
        deliveries: names of files of the landing folder that were removed.
        retain_until: day up to which who was billed is retained, sealed; None: no invoice asks for it.
        digest: SHA-256 of the evidence, which the audit log has.
    """

    rows: dict[str, int]
    keys: int
    deliveries: list[str]
    retain_until: date | None
    digest: str


def erase_subject(settings: Settings, tenant: str, customer: str, now: datetime) -> Erasure:
    """Erase what is personal of a customer everywhere; repeated, it finds nothing more.

    Everything that waits is ingested first. Nobody else may write the lake meanwhile.

    Raises:
        RefusalError: ``unknown_customer``; ``restricted`` while a restriction holds; ``ingestion_running``;
            ``audit_folder_unusable``;
            ``ingestion_unfinished``; ``key_server_unreachable``, ``key_server_refused``.
    """
    lake = Lake(settings.lake_url)
    refuse_restricted(settings, tenant, customer)
    run_ingestion(settings, lake, now, now)
    with ingestion_lock(settings.home / "index"):
        if not unpublished(lake, lake.scan(MANIFEST_TABLE).collect()).is_empty():
            raise RefusalError(
                "ingestion_unfinished", "files were taken and are not recorded yet: run the ingestion, then erase again"
            )
        events = customer_events(lake, tenant, customer)
        texts = quoted(customer, events)
        refused = quarantined_about(lake, tenant, texts)
        with connect(settings, "builder") as connection:
            if events.is_empty() and not privacy_store.is_known(connection, tenant, customer):
                raise _unknown(tenant, customer)
            retain_until = _begun(connection, settings, tenant, customer, now)
            pairs = list(events.select("source", "id").iter_rows())
            rows = privacy_store.erase_traces(connection, tenant, pairs, set(refused["file"]), texts)
        deliveries = _removed(settings, {*events["file"], *refused["file"]})
        rows |= _rewritten(lake, tenant, events, refused)
        with connect(settings, "builder") as connection:
            # A restriction may have come meanwhile: it stops the destruction, which is what cannot be undone.
            refuse_restricted_by(connection, tenant, customer)
            rows |= privacy_store.erase_customer(connection, tenant, customer)
            rows |= instrument_store.remove_all(connection, tenant, customer)
            keys = data_key_store.destroy(connection, tenant, customer)
            evidence = {
                "rows": rows, "keys": keys, "deliveries": deliveries, "begun_at": now.isoformat(),
                "retain_until": retain_until.isoformat() if retain_until else None,
            }  # fmt: skip
            digest = recorded(connection, tenant, "erased", customer, evidence)
            register(settings, tenant, customer, privacy_store.unfinished(connection, tenant, customer) or now)
            privacy_store.finish(connection, tenant, customer)
    return Erasure(rows, keys, deliveries, retain_until, digest)


def refuse_restricted(settings: Settings, tenant: str, customer: str) -> None:
    """Refuse while the customer's data is on hold.

    Raises:
        RefusalError: ``restricted``, with reason and since when.
    """
    with connect(settings, "builder") as connection:
        refuse_restricted_by(connection, tenant, customer)


def refuse_restricted_by(connection: psycopg.Connection[Any], tenant: str, customer: str) -> None:
    """As ``refuse_restricted``, within a transaction that then keeps others from lifting or placing one."""
    found = privacy_store.restriction(connection, tenant, customer)
    if found is not None:
        raise RefusalError(
            "restricted",
            f"data of customer {customer!r} is on hold since {found['since']:%Y-%m-%d} ({found['reason']}) and is not "
            "erased: release it by `valueverse privacy release` first",
            "--customer",
        )


def recorded(
    connection: psycopg.Connection[Any], tenant: str, action: str, customer: str, evidence: dict[str, Any]
) -> str:
    """Write evidence beside the audit log, which has its hash; the hash (hex)."""
    text = evidence_text(evidence)
    privacy_store.record(connection, tenant, action, customer, text)
    return hashlib.sha256(text.encode()).hexdigest()


def evidence_text(evidence: dict[str, Any]) -> str:
    """Evidence as it is written: canonical JSON (RFC 8785)."""
    return bytes(rfc8785.dumps(evidence)).decode()


def retained_cell(tenant: str, customer: str, begun_at: datetime) -> Cell:
    """Where who was billed is sealed."""
    return Cell(tenant, f"retention/{customer}", "vault.erasure", "retained", (customer, begun_at.isoformat()))


def _begun(
    connection: psycopg.Connection[Any], settings: Settings, tenant: str, customer: str, now: datetime
) -> date | None:
    """Write that the erasure begins, with who was billed sealed; one that was stopped is gone on with."""
    issued = privacy_store.last_issued(connection, tenant, customer)
    until = date(issued.year + RETAINED_YEARS, 12, 31) if issued and issued.year + RETAINED_YEARS >= now.year else None
    if privacy_store.unfinished(connection, tenant, customer) is None:
        buyer = privacy_store.buyer(connection, tenant, customer)
        sealed = None
        if until is not None and buyer is not None:
            cell = retained_cell(tenant, customer, now)
            (sealed,) = DataKeys(connection, wrapping_of(settings)).seal([(cell, buyer.encode())])
        privacy_store.begin(connection, tenant, customer, now, until, sealed)
    return until


def _rewritten(lake: Lake, tenant: str, events: pl.DataFrame, refused: pl.DataFrame) -> dict[str, int]:
    """Write the lake's tables without what is personal, and forget their older versions: table -> rows."""
    if not refused.is_empty():
        _without_examples(lake, tenant, refused["file"].unique())
        lines = (
            lake.scan(QUARANTINE_TABLE)
            .filter(pl.col("tenant") == tenant, *_in(refused, "file", "received_date"))
            .collect()
        )
        mine = pl.struct("file", "line").is_in(refused.select(pl.struct("file", "line")).to_series().implode())
        masked = [pl.when(mine).then(pl.lit(_ERASED)).otherwise(name).alias(name) for name in ("raw", "message")]
        where = {"tenant": [tenant], "file": list(refused["file"]), "received_date": _days(refused["received_date"])}
        lake.replace_where(QUARANTINE_TABLE, [lines.with_columns(masked)], where)
    if not events.is_empty():
        erased = events.select(
            "tenant",
            "source",
            "id",
            pl.Series("erased", [data and without_personal_fields(data) for data in events["data"]], pl.String),
        )
        where = {
            "tenant": [tenant],
            "source": list(events["source"]),
            "id": list(events["id"]),
            "event_date": _days(events["event_date"]),
        }
        hit = (
            lake.scan(EVENTS_TABLE)
            .filter(pl.col("tenant") == tenant, *_in(events, "source", "id", "event_date"))
            .collect()
        )
        whole = hit.join(erased, on=["tenant", "source", "id"], how="left", maintain_order="left")
        lake.replace_where(EVENTS_TABLE, [whole.with_columns(pl.coalesce("erased", "data").alias("data"))], where)
        rewritten = lake.open(EVENTS_TABLE)
        write_facts(lake, facts_of(rewritten, [tenant]), rewritten, [tenant])
    # Also where nothing was left to rewrite: an erasure may have been stopped before its last step.
    for table in (EVENTS_TABLE, BILLING_FACTS_TABLE, QUARANTINE_TABLE, MANIFEST_TABLE):
        lake.forget_history(table)
    return {"lake.events": events.height, "lake.quarantine": refused.height}


def _without_examples(lake: Lake, tenant: str, files: pl.Series) -> None:
    """Remove the examples of refused lines of these files from the manifest."""
    rows = (
        lake.scan(MANIFEST_TABLE).filter(pl.col("tenant_id") == tenant, pl.col("file").is_in(files.implode())).collect()
    )
    reasons = [_erased_examples(text) for text in rows["reasons"]]
    changed = rows.with_columns(pl.Series("reasons", reasons, pl.String))
    lake.replace_where(MANIFEST_TABLE, [changed], {"tenant_id": [tenant], "file": list(files)})


def _erased_examples(reasons: str | None) -> str:
    return orjson.dumps([one | {"example": _ERASED} for one in orjson.loads(reasons or "[]")]).decode()


def _in(rows: pl.DataFrame, *names: str) -> list[pl.Expr]:
    return [pl.col(name).is_in(rows[name].unique().implode()) for name in names]


def _days(dates: pl.Series) -> list[str]:
    return [str(day) for day in dates.unique()]


def _removed(settings: Settings, files: Iterable[str]) -> list[str]:
    """Remove deliveries from the landing folder; what they held is in the lake."""
    found = [name for name in sorted(files) if (settings.landing / name).is_file()]
    for name in found:
        (settings.landing / name).unlink()
    return found


def _unknown(tenant: str, customer: str) -> RefusalError:
    return RefusalError("unknown_customer", f"tenant {tenant!r} has no customer {customer!r}", "--customer")
