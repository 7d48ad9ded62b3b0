"""Landing files, inbox and topic -> events of the lake: read, validate, dedup for ever, quarantine with reasons.

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

from valueverse.errors import RefusalError
from valueverse.events import key_hash
from valueverse.landing import Ignored, LandingFile, landing_files
from valueverse.platform.dedup_index import DedupIndex
from valueverse.platform.spool import spool_folder
from valueverse.schemas.ingestion import INGESTED_FILES, RECORDED_IGNORED_FILES
from valueverse.services.ingestion.announced_fates import Fates
from valueverse.services.ingestion.batches import ChangedFileError, Taking, names_of
from valueverse.services.ingestion.file_manifest import MANIFEST_TABLE, as_metadata, reasons_of, taken_files
from valueverse.services.ingestion.file_validation import Founders
from valueverse.services.ingestion.invalidation import invalidated_between
from valueverse.services.lake_tables import EVENTS_TABLE, QUARANTINE_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from valueverse.platform.lake import Lake
    from valueverse.platform.live_events import EventAnnouncer
    from valueverse.platform.spool import Spool
    from valueverse.services.ingestion.inbox import Inbox
    from valueverse.services.ingestion.topic import Topic

_BATCH_BYTES = 256 * 2**20
"""Bytes of files taken in one commit; memory is bounded by the parts in which they are settled."""
_PASSING = {"unknown_tenant", "too_far_future", "unreadable_file"}


@dataclass(frozen=True)
class IngestContext:
    """Where an ingestion writes, its knowledge time, and who announces what it made of events; None: nobody does."""

    lake: Lake
    index: DedupIndex
    moment: datetime
    home: Path
    announcer: EventAnnouncer | None


@dataclass(frozen=True)
class IngestionReport:
    """What an ingestion did; for every file received = accepted + duplicate + quarantined.

    Attributes:
        files: columns of ``billing.ingestion_file``; also those of an earlier run that was killed before publishing.
        reasons: columns of ``billing.quarantine_summary``.
        touched: tenant, event_date that have to be derived again.
        ignored: what lies in the landing folder and was not taken, and why.
        moment: its knowledge time.
    """

    files: pl.DataFrame
    reasons: pl.DataFrame
    touched: pl.DataFrame
    ignored: list[Ignored]
    moment: datetime

    def ignored_files(self) -> pl.DataFrame:
        """RECORDED_IGNORED_FILES."""
        rows = [(one.name.partition("/")[0], one.name, one.reason, self.moment) for one in self.ignored]
        return pl.DataFrame(rows, schema=RECORDED_IGNORED_FILES, orient="row").unique(
            ["tenant_id", "file"], keep="first", maintain_order=True
        )


def ingest(
    lake: Lake,
    landing: Path,
    index_dir: Path,
    received_at: datetime,
    *,
    inbox: Inbox | None = None,
    topic: Topic | None = None,
    announcer: EventAnnouncer | None = None,
    progress: Callable[[str], None] | None = None,
) -> IngestionReport:
    """Take every landing file, and everything in the inbox and the topic, that is not taken yet.

    Running again, also after a kill at any point, changes nothing.

    Raises:
        RefusalError: ``ingestion_running`` when another ingestion holds the lock; ``disk_full``, ``lake_unwritable``.
    """
    report_progress = progress or (lambda _: None)
    with ingestion_lock(index_dir):
        before = taken_files(lake)
        moment = _after(received_at, before)
        known = set(zip(before["file"], before["file_hash"], strict=True))
        if topic is not None:
            topic.look()
        found, ignored = landing_files(landing)
        if inbox is not None:
            received, damaged = inbox.files()
            found, ignored = [*found, *received], [*ignored, *damaged]
        fresh = [file for file in found if (file.name, file.file_hash) not in known]
        taken = before
        context = IngestContext(lake, DedupIndex(index_dir / "keys"), moment, index_dir, announcer)
        founders = Founders(set(before.filter("founds_tenant")["tenant_id"]), fresh, moment)
        for batch in _batches(fresh):
            report_progress(f"reading {', '.join(file.name for file in batch[:3])}{' ...' if len(batch) > 3 else ''}")
            rows, changed = _take(context, batch, founders, taken)
            taken = pl.concat([taken, rows])
            ignored += changed
        if topic is not None:
            taken = _take_topic(context, topic, founders, taken)
            ignored += topic.ignored
        if inbox is not None:
            inbox.drained(set(taken["file"]), lake.open(EVENTS_TABLE))
    for one in ignored:
        report_progress(f"left alone: {one.name}: {one.reason}")
    files = taken.filter(pl.col("ingested_at") == moment)
    published = pl.concat([_unpublished(lake, before), files]).unique(
        ["tenant_id", "file", "file_hash"], maintain_order=True
    )
    columns = [name for name in INGESTED_FILES.names() if name not in {"founds_tenant", "reasons", "version"}]
    touched = invalidated_between(lake, moment - timedelta(microseconds=1), moment)
    return IngestionReport(published.select(columns), reasons_of(published), touched, ignored, moment)


def _unpublished(lake: Lake, before: pl.DataFrame) -> pl.DataFrame:
    """Files of earlier runs that no manifest has recorded as published."""
    recorded = lake.scan(MANIFEST_TABLE).select("file", "file_hash").collect()
    return before.join(recorded, on=["file", "file_hash"], how="anti", maintain_order="left")


@contextmanager
def ingestion_lock(index_dir: Path) -> Iterator[None]:
    """While it is held nobody else writes events, quarantine and manifest of the lake.

    Raises:
        RefusalError: ``ingestion_running``, ``index_unwritable``.
    """
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


def _take_topic(context: IngestContext, topic: Topic, founders: Founders, taken: pl.DataFrame) -> pl.DataFrame:
    """Take what waits in the topic, a commit for each round: the manifest with its files."""
    for found in topic.rounds(context.lake, context.moment):
        founders.look_into(found.files)
        rows, _ = _take(context, found.files, founders, taken, found.positions)
        taken = pl.concat([taken, rows])
    return taken


def _take(
    context: IngestContext,
    batch: list[LandingFile],
    founders: Founders,
    taken: pl.DataFrame,
    positions: Mapping[str, int] | None = None,
) -> tuple[pl.DataFrame, list[Ignored]]:
    """Take one batch of files in one commit: their rows of the manifest, and the files that changed meanwhile."""
    seen = {(row["tenant_id"], row["file_hash"]): row for row in taken.iter_rows(named=True)}
    copies = {file.name: seen.get((file.tenant, file.file_hash)) for file in batch}
    new = []
    rows = []
    for file in batch:
        first = copies[file.name]
        if first is None or _validated_differently_now(first):
            new.append(file)
        else:
            rows.append(_again(file, first, context.moment))
    followed = set() if context.announcer is None else context.announcer.followed({file.tenant for file in batch})
    fates = Fates(followed)
    with spool_folder(context.home) as folder:
        settled, whole, changed = _settled(context, new, founders, folder, fates)
        # What names no tenant is in nobody's manifest.
        rows += [settled.counts[file.name].row(file, context.moment) for file in whole if file.tenant]
        files = pl.DataFrame(rows, schema=INGESTED_FILES)
        _write_quarantine(context.lake, settled.refused, whole)
        context.lake.append_all(EVENTS_TABLE, settled.accepted, metadata=as_metadata(files), positions=positions)
    if context.announcer is not None:
        context.announcer.announce(fates.entries(files, context.moment))
    with _index_writable():
        context.index.add(context.lake.state(EVENTS_TABLE))
    return files.with_columns(pl.lit(context.lake.version(EVENTS_TABLE), pl.Int64).alias("version")), changed


def _settled(
    context: IngestContext, files: list[LandingFile], founders: Founders, folder: Path, fates: Fates
) -> tuple[Taking, list[LandingFile], list[Ignored]]:
    """What becomes of the lines of some new files; the files that were read, and those that changed meanwhile."""
    lake = context.lake
    if files:
        with _index_writable():
            context.index.ensure(
                lake.state(EVENTS_TABLE), lambda: lake.scan(EVENTS_TABLE).select(key_hash()).collect().to_series()
            )
    taking = Taking(lake, context.index, founders, context.moment, folder, fates)
    whole, changed = [], []
    for file in files:
        try:
            taking.take(file)
        except ChangedFileError:
            changed.append(Ignored(file.name, "it changed while it was read: the next run takes it"))
        else:
            whole.append(file)
    taking.settle()
    return taking, whole, changed


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


def _validated_differently_now(first: dict[str, object]) -> bool:
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


def _write_quarantine(lake: Lake, quarantined: Spool, files: list[LandingFile]) -> None:
    where = names_of(files)
    mine = pl.all_horizontal(pl.col(name).is_in(values) for name, values in where.items())
    # A run killed between its two writes has left lines of these files, perhaps such as are not refused any more.
    if files and lake.scan(QUARANTINE_TABLE).filter(mine).select(pl.len()).collect().item():
        lake.replace_where(QUARANTINE_TABLE, quarantined, where)
    elif len(quarantined):
        lake.append_all(QUARANTINE_TABLE, quarantined)
