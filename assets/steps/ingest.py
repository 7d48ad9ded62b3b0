"""Landing files -> events of the lake: read, validate, dedup for ever, quarantine with reasons.

Order of writes: quarantine (keyed by file and hash, so writing it again changes nothing), then the events with their
files as commit metadata: the one point at which a file is taken. Killed before it, the next run takes the file from the
start; killed after it, the next run knows the file. The dedup index and the manifest are caches of that commit.
"""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson
import polars as pl

from assets.steps.manifest import FILES, MANIFEST_TABLE, as_metadata, reasons_of, taken_files
from assets.steps.sameness import settle
from assets.steps.touched import touched_between
from valueverse.catalog.document import parse_catalog
from valueverse.errors import RefusalError
from valueverse.events.billing_events import CATALOG_PUBLISHED, judge_billing_event
from valueverse.events.identity import key_hash, payload_hash
from valueverse.events.schema import EVENTS, INSTANT, QUARANTINE
from valueverse.events.strict import loads
from valueverse.events.validation import IS_BILLING, validate
from valueverse.lake_tables import EVENTS_TABLE, QUARANTINE_TABLE
from valueverse.landing import LandingFile, landing_files, read_file
from valueverse.platform.dedup_index import DedupIndex

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from valueverse.platform.lake import Lake

FOUNDING = ("billing.tenant.created", CATALOG_PUBLISHED)
_BATCH_BYTES = 256 * 2**20
"""Bytes of files taken in one commit: what bounds memory."""
_EXAMPLE = 200
_PASSING = {"unknown_tenant", "too_far_future"}
_IS_FOUNDING = pl.col("type").is_in(FOUNDING)


@dataclass(frozen=True)
class Place:
    """Where an ingestion writes, and its knowledge time."""

    lake: Lake
    index: DedupIndex
    moment: datetime


@dataclass(frozen=True)
class IngestionReport:
    """What an ingestion did; for every file received = accepted + duplicate + quarantined.

    Attributes:
        files: columns of ``billing.ingestion_file``; also files of an earlier run that was killed before it told.
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
        place = Place(lake, DedupIndex(index_dir / "keys"), moment)
        left = list(fresh)
        for batch in _batches(fresh):
            tell(f"reading {', '.join(file.name for file in batch[:3])}{' ...' if len(batch) > 3 else ''}")
            left = left[len(batch) :]
            taken = pl.concat([taken, _take(place, batch, left, taken)])
    files = taken.filter(pl.col("ingested_at") == moment) if fresh else taken.clear()
    told = pl.concat([_untold(lake, before), files]).unique(["tenant_id", "file", "file_hash"], maintain_order=True)
    columns = [name for name in FILES.names() if name not in {"founds_tenant", "reasons", "version"}]
    touched = touched_between(lake, moment - timedelta(microseconds=1), moment)
    return IngestionReport(told.select(columns), reasons_of(told), touched)


def _untold(lake: Lake, before: pl.DataFrame) -> pl.DataFrame:
    """Files of earlier runs that no manifest has recorded as published."""
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


def _take(place: Place, batch: list[LandingFile], later: list[LandingFile], taken: pl.DataFrame) -> pl.DataFrame:
    """Take one batch of files in one commit and give their rows of the manifest."""
    seen = {(row["tenant_id"], row["file_hash"]): row for row in taken.iter_rows(named=True)}
    copies = {file.name: seen.get((file.tenant, file.file_hash)) for file in batch}
    rows = []
    new = []
    for file in batch:
        first = copies[file.name]
        if first is None or _judged_otherwise_now(first):
            new.append(file)
        else:
            rows.append(_again(file, first, place.moment))
    accepted, quarantined, duplicates = _judged(place, new, later, taken)
    rows += [_counted(file, accepted, quarantined, duplicates, place.moment) for file in new]
    files = pl.DataFrame(rows, schema=FILES)
    _write_quarantine(place.lake, quarantined, new)
    place.lake.append(EVENTS_TABLE, accepted, metadata=as_metadata(files))
    with _index_writable():
        place.index.add(accepted.select(key_hash()).to_series(), place.lake.state(EVENTS_TABLE))
    return files.with_columns(pl.lit(place.lake.version(EVENTS_TABLE), pl.Int64).alias("version"))


@contextmanager
def _index_writable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RefusalError(
            "index_unwritable",
            f"the dedup index cannot be written: {error.strerror or error}; free space or check the folder's owner and "
            "run again, no event is lost or doubled",
        ) from error


def _judged_otherwise_now(first: dict[str, object]) -> bool:
    """Whether lines of a file were refused for what may have changed since: the tenant exists, the time has come."""
    return any(reason["reason"] in _PASSING for reason in orjson.loads(str(first["reasons"] or "[]")))


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
    place: Place, files: list[LandingFile], later: list[LandingFile], taken: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Accepted events (EVENTS), quarantined lines (QUARANTINE) and duplicates (file) of some new files."""
    parts = [_validated(file, place.moment) for file in files]
    if not parts:
        return EVENTS.to_frame(), QUARANTINE.to_frame(), pl.DataFrame(schema={"file": pl.String})
    judged = _known_tenants_only(pl.concat(parts), taken, later, place.moment)
    good = judged.filter(pl.col("reason").is_null())
    lake = place.lake
    with _index_writable():
        place.index.ensure(
            lake.state(EVENTS_TABLE), lambda: lake.scan(EVENTS_TABLE).select(key_hash()).collect().to_series()
        )
    new, duplicates, conflicts = settle(good, lake, place.index)
    received = pl.lit(place.moment).cast(INSTANT).alias("received_at")
    refused = pl.concat([judged.filter(pl.col("reason").is_not_null()), conflicts.select(judged.columns)])
    dated = refused.with_columns(received, pl.lit(place.moment.date()).alias("received_date"))
    return _shaped(new.with_columns(received), EVENTS), _shaped(dated, QUARANTINE), duplicates.select("file")


def _shaped(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    return frame.select(pl.col(name).cast(dtype) for name, dtype in schema.items())


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


def _known_tenants_only(
    judged: pl.DataFrame, taken: pl.DataFrame, later: list[LandingFile], moment: datetime
) -> pl.DataFrame:
    good = judged.filter(pl.col("reason").is_null())
    known = set(taken.filter("founds_tenant")["tenant_id"]) | set(good.filter(_IS_FOUNDING)["tenant"])
    # A tenant may come into being in any file of the run; only for tenants not known yet are later files looked into.
    for tenant in set(good["tenant"]) - known:
        candidates = (_validated(file, moment) for file in later if file.tenant == tenant)
        if any(not rows.filter(_IS_FOUNDING, pl.col("reason").is_null()).is_empty() for rows in candidates):
            known.add(tenant)
    stranger = ~pl.col("tenant").is_in(sorted(known)) & pl.col("reason").is_null()
    message = pl.format(
        "nobody has created the tenant '{}': send billing.tenant.created, or a catalog, first", "tenant"
    )
    return judged.with_columns(
        pl.when(stranger).then(pl.lit("unknown_tenant")).otherwise("reason").alias("reason"),
        pl.when(stranger).then(message).otherwise("message").alias("message"),
        pl.when(stranger).then(pl.lit("tenant")).otherwise("path").alias("path"),
    )


def _write_quarantine(lake: Lake, quarantined: pl.DataFrame, files: list[LandingFile]) -> None:
    where = {"file_hash": [file.file_hash for file in files], "file": [file.name for file in files]}
    mine = pl.all_horizontal(pl.col(name).is_in(values) for name, values in where.items())
    # A run killed between its two writes has left lines of these files, perhaps such as are not refused any more.
    if files and lake.scan(QUARANTINE_TABLE).filter(mine).select(pl.len()).collect().item():
        lake.replace_where(QUARANTINE_TABLE, quarantined, where)
    elif not quarantined.is_empty():
        lake.append(QUARANTINE_TABLE, quarantined)


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
        "founds_tenant": mine.filter(_IS_FOUNDING).height > 0,
        "reasons": orjson.dumps(reasons.to_dicts()).decode(),
        "version": None,
    }
