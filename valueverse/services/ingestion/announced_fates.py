"""What one commit of an ingestion made of events, as those who follow a tenant's events hear of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.dates import utc_text, utc_texts
from valueverse.platform.live_events import SHOWN, written

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from valueverse.platform.live_events import Entry

_PLACE = ("file", "line")
_REFUSED = ("reason", "message", "path")
_COUNTED = ("accepted", "duplicate", "quarantined")
_NO_REASON = [pl.lit(None, pl.String).alias(name) for name in _REFUSED]


class Fates:
    """Bounded, whatever the size of a commit: the first events of each tenant, and the number of the others.

    Args:
        tenants: those whose events somebody follows; nothing is done for others.
    """

    def __init__(self, tenants: Collection[str]) -> None:
        self._tenants = set(tenants)
        self._shown: list[pl.DataFrame] = []

    def add(self, judged: pl.DataFrame, duplicates: pl.DataFrame, refused: pl.DataFrame) -> None:
        """Note the first of settled lines.

        Args:
            judged: all of them, in order of file and line.
            duplicates: those of them that the lake or an earlier line has.
            refused: those that are quarantined, with their reason.
        """
        if not (lacking := self._lacking()):
            return
        mine = judged.filter(pl.col("tenant").is_in(lacking)).group_by("tenant", maintain_order=True).head(SHOWN)
        verdicts = pl.concat(
            [
                duplicates.select(*_PLACE, pl.lit("duplicate").alias("status"), *_NO_REASON),
                refused.select(*_PLACE, pl.lit("quarantined").alias("status"), *_REFUSED),
            ]
        )
        shown = mine.select(
            "tenant", "source", "id", "type", "customer", "subscription", utc_texts(pl.col("time")).alias("time"),
            pl.col("replaces").alias("amends"), *_PLACE,
        )  # fmt: skip
        decided = shown.join(verdicts, on=_PLACE, how="left", maintain_order="left")
        self._shown.append(decided.with_columns(pl.col("status").fill_null("accepted")))

    def _lacking(self) -> list[str]:
        """Tenants of which further events are shown."""
        if not self._shown:
            return sorted(self._tenants)
        counts = pl.concat(self._shown)["tenant"].value_counts()
        return sorted(self._tenants.difference(counts.filter(pl.col("count") >= SHOWN)["tenant"]))

    def forget(self, file: str) -> None:
        """Take back the lines of a file that is not taken."""
        self._shown = [frame.filter(pl.col("file") != file) for frame in self._shown]

    def entries(self, files: pl.DataFrame, moment: datetime) -> dict[str, Entry]:
        """By tenant, the entry of its stream.

        Args:
            files: of the commit (INGESTED_FILES): how many events were accepted, duplicate and quarantined.
            moment: knowledge time of the ingestion.
        """
        found = files.filter(pl.col("tenant_id").is_in(sorted(self._tenants)), pl.col("received") > 0)
        totals = found.group_by("tenant_id").agg(pl.col(_COUNTED).sum())
        return {row["tenant_id"]: self._entry(row, utc_text(moment)) for row in totals.iter_rows(named=True)}

    def _entry(self, totals: dict[str, Any], moment: str) -> Entry:
        mine = [frame.filter(pl.col("tenant") == totals["tenant_id"]) for frame in self._shown]
        events = pl.concat(mine).head(SHOWN).drop("tenant").to_dicts() if mine else []
        left = {name: totals[name] - sum(one["status"] == name for one in events) for name in _COUNTED}
        others = sum(left.values())
        more = {"received_at": moment, "events": others} | left if others else None
        return written("ingested", [one | {"received_at": moment} for one in events], more)
