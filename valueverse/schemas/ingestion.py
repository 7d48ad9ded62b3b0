"""Frames of ingestion: the files that were taken, and why lines of them were quarantined."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import INSTANT, TEXT

INGESTED_FILES = Contract(
    {
        "tenant_id": TEXT, "file": TEXT, "file_hash": TEXT, "day": pl.Date(), "received": pl.Int64(),
        "accepted": pl.Int64(), "duplicate": pl.Int64(), "quarantined": pl.Int64(), "conflicts": pl.Int64(),
        "ingested_at": INSTANT, "founds_tenant": pl.Boolean(), "reasons": TEXT, "version": pl.Int64(),
    }
)  # fmt: skip
"""One row per file taken. ``reasons``: JSON list of {reason, events, example}; ``version``: of the events table."""

QUARANTINE_SUMMARIES = Contract(
    {
        "tenant_id": TEXT, "file_hash": TEXT, "file": TEXT, "reason": TEXT, "events": pl.Int64(), "example": TEXT,
    }
)  # fmt: skip
"""Quarantined lines of a file by reason, with an example."""

IGNORED_FILES = Contract({"name": TEXT, "reason": TEXT})
"""What lies in the landing folder and is not taken, and why."""

RECORDED_IGNORED_FILES = Contract(
    {"tenant_id": TEXT, "file": TEXT, "reason": TEXT, "seen_at": INSTANT}, key=("tenant_id", "file")
)
"""Names in the landing folder that are no file to take, and why; ``tenant_id``: the folder, or the name at its top."""

LAKE_FILES = Contract({"date": pl.Date(), "path": TEXT, "rows": pl.Int64()}, key=("path",), nullable=("date", "rows"))
"""Files of a lake table with date partitions; ``rows`` null: the table's log does not say."""

LAKE_INSTANTS = Contract({"date": pl.Date(), "greatest": INSTANT}, nullable=("date", "greatest"))
"""Files of a lake table with date partitions: the greatest instant of a column; null: the table's log does not say."""

CHECKED_TYPES = Contract({"type": TEXT, "events": pl.UInt32(), "first": INSTANT, "last": INSTANT}, key=("type",))
"""Events of a checked file that would be taken: how many of each type, and the instants they lie between."""

CHECKED_REASONS = Contract(
    {"reason": TEXT, "message": TEXT, "lines": pl.UInt32(), "first_line": pl.Int64(), "path": TEXT},
    key=("reason", "message"),
    nullable=("path",),
)
"""Lines of a checked file that would not be taken, or not twice; ``path``: the place within the event."""
