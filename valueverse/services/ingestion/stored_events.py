"""Whether the lake holds what was taken: events as many as were accepted, billing facts once each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.services.ingestion.file_manifest import taken_files
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, EVENTS_TABLE

if TYPE_CHECKING:
    from valueverse.platform.lake import Lake


def accepted_and_held(lake: Lake) -> tuple[int, int]:
    """Events accepted from all files ever taken, and rows of the events table, as its log says."""
    accepted = int(taken_files(lake)["accepted"].sum())
    return accepted, int(lake.open(EVENTS_TABLE).files()["rows"].sum())


def unbalanced_files(lake: Lake) -> pl.DataFrame:
    """INGESTED_FILES of all files whose events received are not those accepted, duplicate and quarantined."""
    parts = pl.sum_horizontal("accepted", "duplicate", "quarantined")
    return taken_files(lake).filter(pl.col("received") != parts)


def repeated_facts(lake: Lake) -> pl.DataFrame:
    """tenant, source, id, rows: billing facts of which the table has more than one row."""
    keys = ["tenant", "source", "id"]
    counted = lake.scan(BILLING_FACTS_TABLE).group_by(keys).agg(pl.len().alias("rows"))
    return counted.filter(pl.col("rows") > 1).sort(keys).collect()
