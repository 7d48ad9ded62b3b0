"""The outcomes of files of a tenant that cannot be written keeps nobody else's from the warehouse."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import polars as pl
import pytest

from valueverse.platform.warehouse import connect
from valueverse.services.ingestion.file_status import publish_ingestion
from valueverse.services.ingestion.ingest import IngestionReport

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
TENANTS = ("ash", "birch", "cedar")


def report(example: str) -> IngestionReport:
    """A file of each tenant with one event refused; ``example`` is what birch's says."""
    keys = pl.DataFrame({"tenant_id": TENANTS, "file": [f"{one}/a.ndjson" for one in TENANTS], "file_hash": TENANTS})
    counts = {"received": 2, "accepted": 1, "duplicate": 0, "quarantined": 1, "conflicts": 0}
    files = keys.with_columns(pl.lit(date(2024, 1, 1)).alias("day"), *(pl.lit(n).alias(c) for c, n in counts.items()))
    text = pl.when(pl.col("tenant_id") == "birch").then(pl.lit(example)).otherwise(pl.lit("line 1"))
    reasons = keys.with_columns(pl.lit("bad_time").alias("reason"), pl.lit(1).alias("events"), text.alias("example"))
    files = files.with_columns(pl.lit(datetime(2024, 1, 1, tzinfo=UTC)).alias("ingested_at"))
    empty = pl.DataFrame()
    return IngestionReport(files=files, reasons=reasons, touched=empty, ignored=[])


def test_the_others_files_are_written_and_the_tenant_is_named(settings: Settings) -> None:
    with connect(settings, "builder") as connection:
        (failure,) = publish_ingestion(connection, report("a\0b"))
        connection.commit()
        assert failure.tenant == "birch"
        for table in ("ingestion_file", "quarantine_summary"):
            rows = connection.execute(f"select tenant_id from billing.{table} order by 1").fetchall()
            assert rows == [("ash",), ("cedar",)]
        assert publish_ingestion(connection, report("line 1")) == []
        connection.commit()
        rows = connection.execute("select tenant_id from billing.quarantine_summary order by 1").fetchall()
        assert rows == [(one,) for one in TENANTS]
