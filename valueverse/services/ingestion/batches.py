"""One batch of landing files: settled part by part in bounded memory, then written in one commit."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import orjson
import polars as pl

from valueverse.errors import RefusalError
from valueverse.events import with_raw
from valueverse.platform.spool import Spool
from valueverse.schemas.events import EVENTS, QUARANTINE
from valueverse.schemas.types import INSTANT
from valueverse.services.ingestion.deduplication import settle
from valueverse.services.ingestion.file_validation import IS_FOUNDING, Founders, unreadable_file, validated

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from valueverse.landing import LandingFile
    from valueverse.platform.dedup_index import DedupIndex
    from valueverse.platform.lake import Lake
    from valueverse.services.ingestion.announced_fates import Fates

_PART_BYTES = 64 * 2**20
"""Bytes of judged lines that are settled together: what bounds memory, whatever the size of a file."""
_EXAMPLE = 200
_STORED_RAW = pl.when(pl.col("reason") == "payment_instrument").then(pl.lit("")).otherwise("raw").alias("raw")
"""A line with the number of a card or account is quarantined without its text."""


class ChangedFileError(Exception):
    """The file is not the one any more whose content was hashed."""


class Counts:
    """The outcomes of the lines of one file."""

    def __init__(self) -> None:
        self.accepted = self.duplicate = 0
        self.founds_tenant = False
        self.reasons: dict[str, dict[str, Any]] = {}

    def row(self, file: LandingFile, moment: datetime) -> dict[str, object]:
        """The file's row of the manifest."""
        refused = sum(reason["events"] for reason in self.reasons.values())
        return {
            "tenant_id": file.tenant,
            "file": file.name,
            "file_hash": file.file_hash,
            "day": moment.date(),
            "received": self.accepted + self.duplicate + refused,
            "accepted": self.accepted,
            "duplicate": self.duplicate,
            "quarantined": refused,
            "conflicts": self.reasons.get("conflict", {}).get("events", 0),
            "ingested_at": moment,
            "founds_tenant": self.founds_tenant,
            "reasons": orjson.dumps([self.reasons[name] for name in sorted(self.reasons)]).decode(),
            "version": None,
        }


class Taking:
    """The lines of a batch, settled against the lake and against each other, in order of file and line."""

    def __init__(
        self, lake: Lake, index: DedupIndex, founders: Founders, moment: datetime, folder: Path, fates: Fates
    ) -> None:
        self._lake, self._index, self._founders, self._moment = lake, index, founders, moment
        self._fates = fates
        self.accepted = Spool(folder, "accepted")
        self.refused = Spool(folder, "refused")
        self.counts: dict[str, Counts] = defaultdict(Counts)
        self._waiting: list[pl.DataFrame] = []
        self._size = 0

    def take(self, file: LandingFile) -> None:
        """Read a file and settle it with those before. One that cannot be read is one refused line.

        Raises:
            ChangedFileError: the file was changed meanwhile; nothing of it is taken.
        """
        mark: tuple[int, int, int] | None = None
        before = len(self._waiting)
        try:
            for lines in validated(file, self._moment):
                self._wait_for(lines)
                if self._size > _PART_BYTES:
                    # Rows before this file are committed by themselves: a file that breaks off can be rolled back.
                    if mark is None:
                        mine, self._waiting = self._waiting[before:], self._waiting[:before]
                        self.settle()
                        mark = (len(self.accepted), len(self.refused), self._index.expected)
                        self._waiting = mine
                        before = 0
                    self.settle()
        except RefusalError as refusal:
            if refusal.code != "unreadable_file":
                raise
            self._take_back(file, before, mark)
            self._wait_for(unreadable_file(file, refusal, self._moment))
        if file.changed():
            self._take_back(file, before, mark)
            raise ChangedFileError

    def _wait_for(self, lines: pl.DataFrame) -> None:
        self._waiting.append(lines)
        self._size += int(lines.estimated_size())

    def _take_back(self, file: LandingFile, before: int, mark: tuple[int, int, int] | None) -> None:
        del self._waiting[before:]
        if mark is not None:
            self.accepted.cut(mark[0])
            self.refused.cut(mark[1])
            self._index.forget(mark[2])
            self.counts.pop(file.name, None)
            self._fates.forget(file.name)

    def settle(self) -> None:
        """Decide about the lines that wait."""
        if not self._waiting:
            return
        judged = self._founders.known_only(pl.concat(self._waiting))
        self._waiting, self._size = [], 0
        good = judged.filter(pl.col("reason").is_null())
        new, duplicates, conflicts = settle(good, self._lake, self._index, self.accepted.scans)
        received = pl.lit(self._moment).cast(INSTANT).alias("received_at")
        refused = with_raw(pl.concat([judged.filter(pl.col("reason").is_not_null()), conflicts.select(judged.columns)]))
        dated = refused.with_columns(received, _STORED_RAW, pl.lit(self._moment.date()).alias("received_date"))
        self.accepted.add(EVENTS.conform(new.with_columns(received)))
        self.refused.add(QUARANTINE.conform(dated))
        self._fates.add(judged, duplicates, refused)
        self._count(new, duplicates, refused)

    def _count(self, new: pl.DataFrame, duplicates: pl.DataFrame, refused: pl.DataFrame) -> None:
        for name, accepted, founding in new.group_by("file").agg(pl.len(), IS_FOUNDING.any().alias("founds")).rows():
            self.counts[name].accepted += accepted
            self.counts[name].founds_tenant |= founding
        for name, twice in duplicates.group_by("file").agg(pl.len()).rows():
            self.counts[name].duplicate += twice
        groups = refused.group_by("file", "reason", maintain_order=True).agg(
            pl.len().alias("events"),
            pl.format("line {}: {}", pl.col("line").first(), pl.col("message").first())
            .str.head(_EXAMPLE)
            # What is shown in one row of a table, which holds no NUL.
            .str.replace_all(r"[\x00-\x1f\x7f]", " ")
            .alias("example"),
        )
        for name, reason, events, example in groups.rows():
            mine = self.counts[name].reasons.setdefault(reason, {"reason": reason, "events": 0, "example": example})
            mine["events"] += events


def names_of(files: Iterable[LandingFile]) -> dict[str, list[str]]:
    """Which lines of quarantine are these files'."""
    chosen = list(files)
    return {"file_hash": [file.file_hash for file in chosen], "file": [file.name for file in chosen]}
