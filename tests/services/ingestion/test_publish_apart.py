"""The outcomes of files of a tenant that cannot be written keeps nobody else's from the warehouse."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import polars as pl
import pytest

from valueverse.landing import Ignored
from valueverse.platform.warehouse import connect
from valueverse.services.ingestion.file_status import publish_ingestion
from valueverse.services.ingestion.ingest import IngestionReport

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
TENANTS = ("ash", "birch", "cedar")
NOW = datetime(2024, 1, 1, tzinfo=UTC)


def report(example: str, ignored: Sequence[Ignored] = ()) -> IngestionReport:
    """A file of each tenant with one event refused; ``example`` is what birch's says."""
    keys = pl.DataFrame({"tenant_id": TENANTS, "file": [f"{one}/a.ndjson" for one in TENANTS], "file_hash": TENANTS})
    counts = {"received": 2, "accepted": 1, "duplicate": 0, "quarantined": 1, "conflicts": 0}
    files = keys.with_columns(pl.lit(date(2024, 1, 1)).alias("day"), *(pl.lit(n).alias(c) for c, n in counts.items()))
    text = pl.when(pl.col("tenant_id") == "birch").then(pl.lit(example)).otherwise(pl.lit("line 1"))
    reasons = keys.with_columns(pl.lit("bad_time").alias("reason"), pl.lit(1).alias("events"), text.alias("example"))
    files = files.with_columns(pl.lit(NOW).alias("ingested_at"))
    empty = pl.DataFrame()
    return IngestionReport(files=files, reasons=reasons, touched=empty, ignored=list(ignored), moment=NOW)


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


def test_names_that_are_not_taken_are_listed_while_they_lie_there(settings: Settings) -> None:
    found = [Ignored("ash/notes.txt", "its ending"), Ignored("stray.csv", "no folder")]
    with connect(settings, "builder") as connection:

        def listed(*ignored: Ignored) -> list[tuple[str, str, str]]:
            publish_ingestion(connection, report("line 1", ignored))
            connection.commit()
            return connection.execute("select tenant_id, file, reason from billing.ignored_file order by 1").fetchall()

        assert listed(*found) == [("ash", "ash/notes.txt", "its ending"), ("stray.csv", "stray.csv", "no folder")]
        assert listed(Ignored("ash/notes.txt", "a folder")) == [("ash", "ash/notes.txt", "a folder")]
        assert listed() == []
