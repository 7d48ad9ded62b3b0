"""The lake: Delta tables on local disk or any object store. Readers see whole versions only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from valueverse.errors import RefusalError
from valueverse.schemas.ingestion import LAKE_FILES, LAKE_INSTANTS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from pyarrow.dataset import Dataset

_DISTINCT = ("id", "root_id", "data", "payload_hash", "line")
"""Columns whose values hardly ever come twice: looking for repeated ones costs half of a write and finds none."""
_WRITER = WriterProperties(
    compression="ZSTD",
    compression_level=1,
    column_properties={name: ColumnProperties(dictionary_enabled=False) for name in _DISTINCT},
)
_SETTINGS = {"delta.checkpointInterval": "10"}
"""Of new tables. Whoever opens a table reads its log from the newest checkpoint on; by default every 100th commit has
one, and opening 25 months of commits cost three times as much (docs/decisions/0818)."""

_LOG_RETENTION = "delta.logRetentionDuration"


@dataclass(frozen=True)
class LakeTable:
    """Name, columns and date partition (or none) of a table of the lake."""

    name: str
    schema: pl.Schema
    partition_by: str | None = None


@dataclass(frozen=True)
class Opened:
    """One version of a table, opened once and read as often as needed; None: the table does not exist yet."""

    table: LakeTable
    found: DeltaTable | None

    def scan(self, dates: Collection[date] | None = None) -> pl.LazyFrame:
        """The version, or only some of its date partitions, in the columns of the table's schema."""
        if self.found is None or (self.table.partition_by is not None and dates is not None and not dates):
            return self.table.schema.to_frame(eager=False)
        frame = pl.scan_delta(self.found)
        if dates is not None and self.table.partition_by is not None:
            frame = frame.filter(pl.col(self.table.partition_by).is_in(sorted(set(dates))))
        return frame.select(pl.col(name).cast(dtype) for name, dtype in self.table.schema.items())

    def dates(self) -> list[date]:
        """The date partitions that hold files, in order."""
        if self.found is None or self.table.partition_by is None:
            return []
        values = {part[self.table.partition_by] for part in self.found.partitions()}
        return sorted(date.fromisoformat(str(value)) for value in values if value is not None)

    def files(self) -> pl.DataFrame:
        """LAKE_FILES: the files of a table with date partitions: a partition changes only with its files."""
        if self.found is None or self.table.partition_by is None:
            return pl.DataFrame(schema=LAKE_FILES)
        listed = pl.DataFrame(pa.table(self.found.get_add_actions(flatten=True)))
        return listed.select(
            pl.col(f"partition.{self.table.partition_by}").alias("date"), "path", pl.col("num_records").alias("rows")
        ).cast(LAKE_FILES)

    @property
    def version(self) -> int:
        """Its number; -1 before the first."""
        return -1 if self.found is None else int(self.found.version())

    def newest(self, column: str) -> datetime | None:
        """The greatest instant of ``column``, to the millisecond below it, as the table's log says without reading a
        file; None: there is none, or it does not say."""
        found = self._greatest(column)["greatest"].max()
        return found if isinstance(found, datetime) else None

    def dates_from(self, column: str, least: datetime) -> list[date]:
        """The date partitions with files in which ``column`` may hold an instant from ``least`` (whole seconds) on, in
        order."""
        late = pl.col("greatest").is_null() | (pl.col("greatest") >= least)
        return sorted(self._greatest(column).filter(late)["date"].unique().drop_nulls())

    def position(self, application: str) -> int | None:
        """How far an application has written, as its newest commit says (Delta's application transactions)."""
        return None if self.found is None else self.found.transaction_version(application)

    def counted(self, column: str) -> int | None:
        """Rows in which ``column`` is not null, as the table's log says without reading a file; None: it does not."""
        files = self._files_with(column)
        return None if files["rows"].has_nulls() else int(files["rows"].sum())

    def dates_with(self, column: str) -> list[date]:
        """The date partitions with files in which ``column`` may be not null, as the table's log says, in order."""
        files = self._files_with(column)
        return sorted(files.filter(pl.col("rows").is_null() | (pl.col("rows") > 0))["date"].unique().drop_nulls())

    def _files_with(self, column: str) -> pl.DataFrame:
        """date, rows: one row per file; rows in which ``column`` is not null, null where the log does not know it."""
        schema = LAKE_FILES.part("date", "rows")
        if self.found is None:
            return pl.DataFrame(schema=schema)
        files = pl.DataFrame(pa.table(self.found.get_add_actions(flatten=True)))
        nulls, day = f"null_count.{column}", f"partition.{self.table.partition_by}"
        rows = pl.col("num_records") - pl.col(nulls) if nulls in files.columns else pl.lit(None)
        return files.select(
            (pl.col(day) if day in files.columns else pl.lit(None)).alias("date"), rows.alias("rows")
        ).cast(schema)

    def _greatest(self, column: str) -> pl.DataFrame:
        """LAKE_INSTANTS: one row per file; ``greatest`` of a column."""
        if self.found is None or self.table.partition_by is None:
            return LAKE_INSTANTS.to_frame()
        files = pl.DataFrame(pa.table(self.found.get_add_actions(flatten=True)))
        wanted = {"date": f"partition.{self.table.partition_by}", "greatest": f"max.{column}"}
        shown = [pl.col(of) if of in files.columns else pl.lit(None).alias(of) for of in wanted.values()]
        return files.select(one.alias(name) for name, one in zip(wanted, shown, strict=True)).cast(LAKE_INSTANTS)

    def arrow_dataset(self, dates: Collection[date] | None = None) -> Dataset:
        """The version, or some of its date partitions, for DuckDB and other Arrow readers.

        DuckDB's own delta extension would be a download.
        """
        if self.found is None or (dates is not None and not dates):
            from pyarrow.dataset import dataset  # takes pandas along: a tenth of a second of every process otherwise

            return dataset(self.table.schema.to_frame().to_arrow())
        if dates is None or self.table.partition_by is None:
            return self.found.to_pyarrow_dataset()
        wanted = [day.isoformat() for day in sorted(set(dates))]
        return self.found.to_pyarrow_dataset(file_pruning_predicate=[(self.table.partition_by, "in", wanted)])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _cure(error: Exception, url: str) -> RefusalError:
    text = " ".join(str(error).split())[:400]
    if "No space left" in text or "os error 28" in text:
        return RefusalError(
            "disk_full", f"no space left for the lake at {url}: free some and run again; nothing is lost"
        )
    if "Permission denied" in text or "os error 13" in text:
        return RefusalError("lake_unwritable", f"the lake at {url} may not be written: check the owner of the folder")
    return RefusalError("lake_failed", f"the lake at {url} failed: {text}; run again, committed versions are whole")


class Lake:
    """The tables below one folder or object-store prefix."""

    def __init__(self, url: str | Path) -> None:
        self.url = str(url).rstrip("/")

    def address(self, table: LakeTable) -> str:
        """Where the table lies."""
        return f"{self.url}/{table.name}"

    def delta(self, table: LakeTable) -> DeltaTable | None:
        """The newest version, or None while the table does not exist."""
        try:
            return DeltaTable(self.address(table))
        except TableNotFoundError:
            return None
        except (DeltaError, OSError) as error:
            raise _cure(error, self.url) from error

    def state(self, table: LakeTable) -> str:
        """Identity and version of the table, for caches of it; empty before the first version."""
        found = self.delta(table)
        return "" if found is None else f"{found.metadata().id}@{found.version()}"

    def version(self, table: LakeTable) -> int:
        """Number of the newest version; -1 before the first."""
        return self.open(table).version

    def scan(self, table: LakeTable, dates: Collection[date] | None = None) -> pl.LazyFrame:
        """The table as it stands, or only some of its date partitions, in the columns of its schema."""
        return self.open(table).scan(dates)

    def open(self, table: LakeTable) -> Opened:
        """The newest version of a table, for many reads of the same state."""
        return Opened(table, self.delta(table))

    def dates(self, table: LakeTable) -> list[date]:
        """The date partitions that hold files, in order."""
        return self.open(table).dates()

    def append(self, table: LakeTable, frame: pl.DataFrame) -> None:
        """Add rows in one commit."""
        self._write(table, _ordered(table, frame), "append")

    def append_all(
        self,
        table: LakeTable,
        frames: Iterable[pl.DataFrame],
        *,
        metadata: Mapping[str, str] | None = None,
        positions: Mapping[str, int] | None = None,
    ) -> None:
        """Add the rows of many frames in one commit, one frame in memory at a time.

        Args:
            metadata: what the commit carries.
            positions: how far applications have written with this commit, for ``Opened.position``.
        """
        self._write(table, _reader(table, frames), "append", metadata=metadata, positions=positions)

    def overwrite(self, table: LakeTable, frame: pl.DataFrame, *, positions: Mapping[str, int] | None = None) -> None:
        """Replace the whole table in one commit; ``positions`` as of ``append_all``."""
        self._write(table, _ordered(table, frame), "overwrite", positions=positions)

    def replace_dates(self, table: LakeTable, frame: pl.DataFrame, dates: Collection[date]) -> None:
        """Replace the partitions of ``dates`` by ``frame`` (which holds no other date) in one commit. Idempotent."""
        wanted = sorted(set(dates))
        if not wanted:
            return
        listed = ", ".join(f"'{day.isoformat()}'" for day in wanted)
        predicate = f"{table.partition_by} in ({listed})"
        found = self.delta(table)
        if found is None:
            self._write(table, _ordered(table, frame), "append")
        else:
            self._write(table, _ordered(table, frame), "overwrite", predicate, found=found)

    def replace_where(
        self, table: LakeTable, frames: Iterable[pl.DataFrame], where: Mapping[str, Collection[str]]
    ) -> None:
        """Replace by ``frames`` the rows whose columns each have one of the values given, in one commit. Idempotent."""
        found = self.delta(table)
        if found is None:
            self.append_all(table, frames)
            return
        terms = (
            f"{column} in ({', '.join(_quoted(value) for value in sorted(set(values)))})"
            for column, values in where.items()
        )
        self._write(table, _reader(table, frames), "overwrite", " and ".join(terms), found=found)

    def forget_history(self, table: LakeTable) -> None:
        """Remove every file and log entry that the newest version does not need: what was replaced is gone.

        Whoever reads an older version while this runs has to read again. Nobody may write the table meanwhile.
        """
        try:
            found = self.delta(table)
            if found is None:
                return
            found.alter.set_table_properties({_LOG_RETENTION: "interval 0 days"})
            DeltaTable(self.address(table)).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
            newest = DeltaTable(self.address(table))
            newest.create_checkpoint()
            newest.cleanup_metadata()
            newest.alter.set_table_properties({_LOG_RETENTION: "interval 30 days"})
        except (DeltaError, OSError) as error:
            raise _cure(error, self.url) from error

    def _write(
        self,
        table: LakeTable,
        rows: pa.Table | pa.RecordBatchReader,
        mode: str,
        predicate: str | None = None,
        *,
        metadata: Mapping[str, str] | None = None,
        positions: Mapping[str, int] | None = None,
        found: DeltaTable | None = None,
    ) -> None:
        """Commit; ``found`` is the table as it was just opened, which costs more the longer its history is."""
        options: dict[str, Any] = {"mode": mode} if predicate is None else {"mode": mode, "predicate": predicate}
        try:
            write_deltalake(
                found or self.address(table),
                rows,
                partition_by=[table.partition_by] if table.partition_by else None,
                writer_properties=_WRITER,
                commit_properties=CommitProperties(
                    custom_metadata=dict(metadata or {}),
                    app_transactions=[Transaction(name, place) for name, place in (positions or {}).items()],
                ),
                configuration=None if found else _SETTINGS,
                **options,
            )
        except (DeltaError, OSError) as error:
            raise _cure(error, self.url) from error


def _ordered(table: LakeTable, frame: pl.DataFrame) -> pa.Table:
    return _plain_arrow(frame.select(pl.col(name).cast(dtype) for name, dtype in table.schema.items()))


def _reader(table: LakeTable, frames: Iterable[pl.DataFrame]) -> pa.RecordBatchReader:
    schema = _ordered(table, table.schema.to_frame()).schema
    batches = (batch for frame in frames for batch in _ordered(table, frame).to_batches())
    return pa.RecordBatchReader.from_batches(schema, batches)


def _plain_arrow(frame: pl.DataFrame) -> pa.Table:
    """Arrow without string views and large offsets, which Delta's schema does not know."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    fields = [
        pa.field(field.name, pa.string() if pa.types.is_large_string(field.type) else field.type)
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
