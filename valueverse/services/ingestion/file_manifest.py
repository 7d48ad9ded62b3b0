"""The manifest: every landing file ever taken, with its counts.

Its truth is in the commits of the events table: each carries the files it took as metadata, so that rows and manifest
are one transaction. The manifest table is a copy of that for quick look-up, written once the report has been published.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

from valueverse.platform.lake import LakeTable
from valueverse.schemas.ingestion import INGESTED_FILES, QUARANTINE_SUMMARIES
from valueverse.schemas.types import INSTANT
from valueverse.services.lake_tables import EVENTS_TABLE

if TYPE_CHECKING:
    from valueverse.platform.lake import Lake

METADATA_KEY = "valueverse.files"

MANIFEST_TABLE = LakeTable("ingested_files", INGESTED_FILES)


def as_metadata(files: pl.DataFrame) -> dict[str, str]:
    """Commit metadata that records these files."""
    rows = files.drop("version").with_columns(pl.col("day", "ingested_at").cast(pl.String)).to_dicts()
    return {METADATA_KEY: orjson.dumps(rows).decode()}


def _from_commit(commit: dict[str, Any]) -> list[dict[str, Any]]:
    return [row | {"version": commit["version"]} for row in orjson.loads(commit.get(METADATA_KEY) or "[]")]


def unpublished(lake: Lake, recorded: pl.DataFrame) -> pl.DataFrame:
    """Files that commits of the events table record and the manifest does not have yet."""
    table = lake.delta(EVENTS_TABLE)
    if table is None:
        return INGESTED_FILES.to_frame()
    done = recorded["version"].max()
    missing = int(table.version()) - (int(done) if isinstance(done, int) else -1)
    commits = table.history(missing) if missing > 0 else []
    rows = [row for commit in reversed(commits) for row in _from_commit(commit)]
    texts = INGESTED_FILES.to_frame().with_columns(pl.col("day", "ingested_at").cast(pl.String)).schema
    return (
        pl.DataFrame(rows, schema=texts)
        .with_columns(
            pl.col("day").str.to_date("%F"),
            pl.col("ingested_at")
            .str.to_datetime("%F %T%.f%Z", time_unit="us")
            .dt.convert_time_zone("UTC")
            .cast(INSTANT),
        )
        .select(INGESTED_FILES.names())
    )


def taken_files(lake: Lake) -> pl.DataFrame:
    """Every file taken so far (INGESTED_FILES), published or not."""
    recorded = lake.scan(MANIFEST_TABLE).collect()
    return pl.concat([recorded, unpublished(lake, recorded)])


def record_published(lake: Lake) -> None:
    """Copy into the manifest what the commits record and it does not have; call it once the report is published."""
    recorded = lake.scan(MANIFEST_TABLE).collect()
    new = unpublished(lake, recorded)
    if not new.is_empty():
        lake.append(MANIFEST_TABLE, new)


def reasons_of(files: pl.DataFrame) -> pl.DataFrame:
    """The reasons of files as rows of ``billing.quarantine_summary`` (QUARANTINE_SUMMARIES)."""
    rows = [
        {"tenant_id": tenant, "file_hash": file_hash, "file": file, **reason}
        for tenant, file_hash, file, reasons in files.select("tenant_id", "file_hash", "file", "reasons").iter_rows()
        for reason in orjson.loads(reasons or "[]")
    ]
    return pl.DataFrame(rows, schema=QUARANTINE_SUMMARIES)
