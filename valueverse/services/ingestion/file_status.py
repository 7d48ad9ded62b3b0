"""What an ingestion did to each file, for those who read the warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.platform.isolation import isolate
from valueverse.platform.warehouse import copy_frame
from valueverse.schemas.ingestion import RECORDED_IGNORED_FILES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from valueverse.platform.isolation import Failure
    from valueverse.services.ingestion.ingest import IngestionReport

_KEYS = {
    "billing.ingestion_file": ("tenant_id", "file_hash", "file"),
    "billing.quarantine_summary": ("tenant_id", "file_hash", "file", "reason"),
}


def publish_ingestion(connection: psycopg.Connection[Any], report: IngestionReport) -> list[Failure]:
    """Write the report's files, reasons and ignored names; writing the same again changes nothing.

    Returns:
        Tenants of whom nothing could be written, which takes nothing from the others.
    """
    _publish_ignored(connection, report)
    everyone = sorted({*report.files["tenant_id"], *report.reasons["tenant_id"]})

    def work(tenants: Sequence[str] | None) -> None:
        mine = pl.col("tenant_id").is_in(everyone if tenants is None else list(tenants))
        with connection.transaction():
            _upsert(connection, "billing.ingestion_file", report.files.filter(mine))
            _upsert(connection, "billing.quarantine_summary", report.reasons.filter(mine))

    return isolate(work, everyone, lambda: everyone).failures


_GONE = """
    delete from billing.ignored_file as i
     where not exists (select from unnest(%s::text[], %s::text[], %s::text[]) as n (tenant_id, file, reason)
                        where n.tenant_id = i.tenant_id and n.file = i.file and n.reason = i.reason)"""
_FOUND = """
    insert into billing.ignored_file (tenant_id, file, reason, seen_at)
    select * from unnest(%s::text[], %s::text[], %s::text[], %s::timestamptz[])
        on conflict do nothing"""


def _publish_ignored(connection: psycopg.Connection[Any], report: IngestionReport) -> None:
    """Write what lies in the landing folder now and is not taken; what has gone since is deleted."""
    rows = [report.ignored_files()[name].to_list() for name in RECORDED_IGNORED_FILES.names()]
    with connection.transaction():
        connection.execute(_GONE, rows[:3])
        connection.execute(_FOUND, rows)


def _upsert(connection: psycopg.Connection[Any], table: str, frame: pl.DataFrame) -> None:
    if frame.is_empty():
        return
    staged = f"pg_temp.{table.partition('.')[2]}"
    key = _KEYS[table]
    columns = ", ".join(frame.columns)
    renewed = ", ".join(f"{name} = excluded.{name}" for name in frame.columns if name not in key)
    # Names of tables and columns are literals of this project; no word of a user is among them.
    connection.execute(f"create temporary table {staged} (like {table}) on commit drop")
    copy_frame(connection, staged, frame)
    connection.execute(
        f"insert into {table} ({columns}) select {columns} from {staged} "  # noqa: S608 - see above
        f"on conflict ({', '.join(key)}) do update set {renewed}"
    )
