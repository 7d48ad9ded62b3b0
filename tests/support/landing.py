"""A small lake with a landing folder, for tests of ingestion."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from valueverse.platform.lake import Lake
from valueverse.services.ingestion.ingest import IngestionReport, ingest
from valueverse.services.lake_tables import EVENTS_TABLE, QUARANTINE_TABLE

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


def event(key: str, data: Any = None, **more: Any) -> dict[str, Any]:
    """A usage event."""
    return {
        "specversion": "1.0", "id": key, "source": "s", "type": "call", "subject": "c-1",
        "time": "2024-05-01T00:00:00Z", "data": {"n": 1} if data is None else data,
    } | more  # fmt: skip


def founding(tenant: str = "acme") -> dict[str, Any]:
    """The event that makes a tenant."""
    return event("founding", {"tenant": tenant, "name": tenant}, type="billing.tenant.created")


@dataclass(frozen=True)
class Harbour:
    """A landing folder, a lake and an index below one folder."""

    home: Path

    @property
    def lake(self) -> Lake:
        return Lake(self.home / "lake")

    def land(self, name: str, *content: Any) -> None:
        """Put a file into the landing folder: bytes, or events and texts one per line."""
        path = self.home / "landing" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if len(content) == 1 and isinstance(content[0], bytes):
            path.write_bytes(content[0])
            return
        lines = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in content).encode()
        path.write_bytes(gzip.compress(lines) if name.endswith(".gz") else lines)

    def take(self, now: datetime = NOW) -> IngestionReport:
        """Ingest what has landed."""
        return ingest(self.lake, self.home / "landing", self.home / "index", now)

    def events(self) -> pl.DataFrame:
        return self.lake.scan(EVENTS_TABLE).collect().sort("tenant", "source", "id")

    def quarantine(self) -> pl.DataFrame:
        return self.lake.scan(QUARANTINE_TABLE).collect().sort("file", "line")

    def ids(self) -> list[str]:
        return [key for key in self.events()["id"] if key != "founding"]

    def reasons(self) -> list[tuple[int, str]]:
        return list(self.quarantine().select("line", "reason").iter_rows())


def counts(report: IngestionReport) -> dict[str, tuple[int, int, int, int]]:
    """received, accepted, duplicate, quarantined per file; checks that they add up."""
    found = {}
    for row in report.files.iter_rows(named=True):
        one = (row["received"], row["accepted"], row["duplicate"], row["quarantined"])
        assert one[0] == sum(one[1:])
        found[row["file"]] = one
    return found
