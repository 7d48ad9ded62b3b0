"""Landing files -> events of the lake: read, validate, dedup for ever, quarantine with reasons.

Order of writes: quarantine (keyed by the file's hash, so writing it again changes nothing), then the events with their files
as commit metadata: the one point at which a file is taken. Killed before it, the next run takes the file from the start;
killed after it, the next run knows the file. The dedup index and the manifest are caches of that commit.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson
import polars as pl

from valueverse.landing import LandingFile, landing_files, read_file
from assets.steps.manifest import FILES, as_metadata, reasons_of, taken_files
from assets.steps.sameness import settle
from assets.steps.tables import EVENTS_TABLE, QUARANTINE_TABLE
from assets.steps.touched import touched_between
from valueverse.catalog.document import parse_catalog
from valueverse.errors import RefusalError
from valueverse.events.billing_events import CATALOG_PUBLISHED, judge_billing_event
from valueverse.events.identity import KEY, key_hash, payload_hash
from valueverse.events.schema import EVENTS, INSTANT, QUARANTINE
from valueverse.events.strict import loads
from valueverse.events.validation import IS_BILLING, validate
from valueverse.platform.dedup_index import DedupIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from valueverse.platform.lake import Lake

FOUNDING = ("billing.tenant.created", CATALOG_PUBLISHED)
_BATCH_BYTES = 256 * 2**20
"""Bytes of files taken in one commit: what bounds memory."""
_EXAMPLE = 200


@dataclass(frozen=True)
class IngestionReport:
    """What an ingestion did; for every file received = accepted + duplicate + quarantined.

    Attributes:
        files: columns of ``billing.ingestion_file``; files of an earlier run that was killed before it told of them too.
        reasons: columns of ``billing.quarantine_summary``.
        touched: tenant, event_date that have to be derived anew.
    """

    files: pl.DataFrame
    reasons: pl.DataFrame
    touched: pl.DataFrame


def ingest(
    lake: Lake,
    landing: Path,
    index_dir: Path,
    received_at: datetime,
    *,
    progress: Callable[[str], None] | None = None,
) -> IngestionReport:
    """Take every landing file that is not taken yet. Running again, also after a kill at any point, changes nothing.

    Raises:
        RefusalError: ``ingestion_running`` when another ingestion holds the lock; ``disk_full``, ``lake_unwritable``.
    """
    tell = progress or (lambda _: None)
    with _alone(index_dir):
        before = taken_files(lake)
        moment = _after(received_at, before)
        known = set(zip(before["file"], before["file_hash"], strict=True))
        fresh = [file for file in landing_files(landing) if (file.name, file.file_hash) not in known]
        taken = before
        for batch in _batches(fresh):
            tell(f"reading {', '.join(file.name for file in batch[:3])}{' ...' if len(batch) > 3 else ''}")
            taken = pl.concat([taken, _take(lake, batch, taken, index_dir, moment)])
    files = taken.filter(pl.col("ingested_at") == moment) if fresh else taken.clear()
    told = pl.concat([_untold(lake, before), files]).unique(["tenant_id", "file", "file_hash"], maintain_order=True)
    columns = [name for name in FILES.names() if name not in {"founds_tenant", "reasons", "version"}]
    touched = touched_between(lake, moment - timedelta(microseconds=1), moment)
    return IngestionReport(told.select(columns), reasons_of(told), touched)


def _untold(lake: Lake, before: pl.DataFrame) -> pl.DataFrame:
    """Files of earlier runs that no manifest has recorded as published."""
    from assets.steps.manifest import MANIFEST_TABLE

    recorded = lake.scan(MANIFEST_TABLE).select("file", "file_hash").collect()
    return before.join(recorded, on=["file", "file_hash"], how="anti", maintain_order="left")


@contextmanager
def _alone(index_dir: Path) -> Iterator[None]:
    try:
        index_dir.mkdir(parents=True, exist_ok=True)
        lock = (index_dir / "ingestion.lock").open("w")
    except OSError as error:
        raise RefusalError("index_unwritable", f"{index_dir}: {error.strerror}; check the folder's owner") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusalError(
                "ingestion_running", "another ingestion is running; this one can start when it has ended"
            ) from error
        yield


def _after(received_at: datetime, before: pl.DataFrame) -> datetime:
    """Knowledge time never goes back, also when the clock does."""
    newest = before["ingested_at"].max()
    moment = received_at.astimezone(UTC)
    if isinstance(newest, datetime) and moment <= newest:
        return newest + timedelta(microseconds=1)
    return moment


def _batches(files: list[LandingFile]) -> Iterator[list[LandingFile]]:
    batch: list[LandingFile] = []
    size = 0
    for file in files:
        if batch and size + file.size > _BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.size
    if batch:
        yield batch


def _take(lake: Lake, batch: list[LandingFile], taken: pl.DataFrame, index_dir: Path, moment: datetime) -> pl.DataFrame:
    """Take one batch of files in one commit and give their rows of the manifest."""
    seen = dict(zip(taken["file_hash"], taken.iter_rows(named=True), strict=True))
    again = [file for file in batch if file.file_hash in seen]
    new = [file for file in batch if file.file_hash not in seen]
    rows = [_again(file, seen[file.file_hash], moment) for file in again]
    accepted, quarantined, duplicates = _judged(lake, new, taken, index_dir, moment)
    rows += [_counted(file, accepted, quarantined, duplicates, moment) for file in new]
    files = pl.DataFrame(rows, schema=FILES)
    _write_quarantine(lake, quarantined, new)
    lake.append(EVENTS_TABLE, accepted, metadata=as_metadata(files))
    version = lake.version(EVENTS_TABLE)
    DedupIndex(index_dir / "keys").add(accepted.select(key_hash()).to_series(), version)
    return files.with_columns(pl.lit(version, pl.Int64).alias("version"))


def _again(file: LandingFile, first: dict[str, object], moment: datetime) -> dict[str, object]:
    """A byte-identical copy under another name: known from its hash, nothing in it is new."""
    duplicate = int(str(first["accepted"])) + int(str(first["duplicate"]))
    return first | {
        "tenant_id": file.tenant,
        "file": file.name,
        "day": moment.date(),
        "accepted": 0,
        "duplicate": duplicate,
        "ingested_at": moment,
        "founds_tenant": False,
    }


def _judged(
    lake: Lake, files: list[LandingFile], taken: pl.DataFrame, index_dir: Path, moment: datetime
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Accepted events (EVENTS), quarantined lines (QUARANTINE) and duplicates (file, line) of some new files."""
    parts = [_validated(file, moment) for file in files]
    if not parts:
        return EVENTS.to_frame(), QUARANTINE.to_frame(), pl.DataFrame(schema={"file": pl.String})
    judged = _known_tenants_only(pl.concat(parts), taken)
    good = judged.filter(pl.col("reason").is_null())
    index = DedupIndex(index_dir / "keys")
    index.ensure(lake.version(EVENTS_TABLE), lambda: lake.scan(EVENTS_TABLE).select(key_hash()).collect().to_series())
    new, duplicates, conflicts = settle(good, lake, index)
    events = new.with_columns(pl.lit(moment).cast(INSTANT).alias("received_at")).select(
        pl.col(name).cast(dtype) for name, dtype in EVENTS.items()
    )
    refused = pl.concat([judged.filter(pl.col("reason").is_not_null()), conflicts.select(judged.columns)])
    quarantined = refused.with_columns(
        pl.lit(moment).cast(INSTANT).alias("received_at"), pl.lit(moment.date()).alias("received_date")
    ).select(pl.col(name).cast(dtype) for name, dtype in QUARANTINE.items())
    return events, quarantined, duplicates.select("file")


def _validated(file: LandingFile, moment: datetime) -> pl.DataFrame:
    checked = validate(read_file(file), file.tenant, moment)
    judged = _billing_judged(checked, file.tenant)
    return judged.with_columns(
        pl.lit(file.tenant).alias("tenant"),
        pl.lit(file.name).alias("file"),
        pl.lit(file.file_hash).alias("file_hash"),
        payload_hash().alias("payload_hash"),
    ).with_columns(pl.col("instant").alias("time"), pl.col("instant").dt.date().alias("event_date"))


def _billing_judged(checked: pl.DataFrame, tenant: str) -> pl.DataFrame:
    """Billing events are documents, few against usage, and are judged one by one."""
    billing = checked.filter(IS_BILLING, pl.col("reason").is_null(), pl.col("data").is_not_null())
    verdicts = []
    for line, kind, data in billing.select("line", "type", "data").iter_rows():
        try:
            judge_billing_event(kind, tenant, loads(data), parse_catalog)
        except RefusalError as refusal:
            verdicts.append((line, refusal.code, refusal.message, refusal.path))
    if not verdicts:
        return checked
    names = ("reason", "message", "path")
    schema = {"line": pl.Int64} | {f"{name}_now": pl.String for name in names}
    told = checked.join(
        pl.DataFrame(verdicts, schema=schema, orient="row"), on="line", how="left", maintain_order="left"
    )
    return told.with_columns(pl.coalesce(f"{name}_now", name).alias(name) for name in names).drop(
        f"{name}_now" for name in names
    )


def _known_tenants_only(judged: pl.DataFrame, taken: pl.DataFrame) -> pl.DataFrame:
    founded = set(taken.filter("founds_tenant")["tenant_id"])
    here = judged.filter(pl.col("type").is_in(FOUNDING), pl.col("reason").is_null())["tenant"]
    known = sorted(founded | set(here))
    stranger = ~pl.col("tenant").is_in(known) & pl.col("reason").is_null()
    message = pl.format(
        "nobody has created the tenant '{}': send billing.tenant.created, or a catalog, first", "tenant"
    )
    return judged.with_columns(
        pl.when(stranger).then(pl.lit("unknown_tenant")).otherwise("reason").alias("reason"),
        pl.when(stranger).then(message).otherwise("message").alias("message"),
        pl.when(stranger).then(pl.lit("tenant")).otherwise("path").alias("path"),
    )


def _write_quarantine(lake: Lake, quarantined: pl.DataFrame, files: list[LandingFile]) -> None:
    hashes = [file.file_hash for file in files]
    if quarantined.is_empty():
        # A run killed between its two writes may have left lines of these files that are not refused any more.
        stale = lake.scan(QUARANTINE_TABLE).filter(pl.col("file_hash").is_in(hashes)).select(pl.len()).collect().item()
        if not stale:
            return
    lake.replace_where(QUARANTINE_TABLE, quarantined, "file_hash", hashes)


def _counted(
    file: LandingFile, accepted: pl.DataFrame, quarantined: pl.DataFrame, duplicates: pl.DataFrame, moment: datetime
) -> dict[str, object]:
    mine = accepted.filter(pl.col("file") == file.name)
    refused = quarantined.filter(pl.col("file") == file.name)
    twice = duplicates.filter(pl.col("file") == file.name).height
    reasons = (
        refused.group_by("reason")
        .agg(
            pl.len().alias("events"),
            pl.format("line {}: {}", pl.col("line").first(), pl.col("message").first())
            .str.head(_EXAMPLE)
            .alias("example"),
        )
        .sort("reason")
    )
    return {
        "tenant_id": file.tenant,
        "file": file.name,
        "file_hash": file.file_hash,
        "day": moment.date(),
        "received": mine.height + refused.height + twice,
        "accepted": mine.height,
        "duplicate": twice,
        "quarantined": refused.height,
        "conflicts": refused.filter(pl.col("reason") == "conflict").height,
        "ingested_at": moment,
        "founds_tenant": mine.filter(pl.col("type").is_in(FOUNDING)).height > 0,
        "reasons": orjson.dumps(reasons.to_dicts()).decode(),
        "version": None,
    }


__all__ = ["KEY", "IngestionReport", "ingest"]
