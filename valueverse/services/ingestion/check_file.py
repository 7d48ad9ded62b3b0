"""What ingestion would say of an event file, before it is delivered. Reads that file only: no server, no state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.errors import RefusalError
from valueverse.events import COMPARED_FIELDS, EVENT_KEY, IS_BILLING
from valueverse.landing import landing_files, name_problem, one_file, read_chunks
from valueverse.platform.settings import TENANT_KEY
from valueverse.schemas.ingestion import CHECKED_REASONS, CHECKED_TYPES
from valueverse.services.ingestion.deduplication import with_repeats
from valueverse.services.ingestion.file_validation import Founders, unreadable_file, validated

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from valueverse.landing import LandingFile


@dataclass(frozen=True)
class CheckedFile:
    """What a file holds, as far as the file alone shows it.

    Attributes:
        problem: why ingestion takes no file of this name; empty: it does.
        types: CHECKED_TYPES of the events that would be taken.
        reasons: CHECKED_REASONS of the lines that would be quarantined, or counted as duplicates.
        note: what would refuse every line, and cannot be seen without a server; empty: nothing.
    """

    name: str
    problem: str
    tenant: str
    lines: int
    types: pl.DataFrame
    reasons: pl.DataFrame
    note: str = ""

    @property
    def is_clean(self) -> bool:
        """Whether every line would be taken or is the copy of one that is."""
        return not self.problem and self.reasons.filter(pl.col("reason") != "duplicate").is_empty()

    def document(self) -> dict[str, Any]:
        """The answer as JSON values."""
        return {
            "file": self.name,
            "problem": self.problem or None,
            "tenant": self.tenant,
            "lines": self.lines,
            "accepted": int(self.types["events"].sum()),
            "types": self.types.to_dicts(),
            "reasons": self.reasons.to_dicts(),
            "note": self.note or None,
        }


def check_file(
    path: Path, tenant: str | None, moment: datetime, landing: Path | None = None, project: str | None = None
) -> CheckedFile:
    """Judge every line of a file as ingestion does at ``moment``.

    Args:
        path: an event file in any form that the landing folder takes.
        tenant: whose folder it is meant for; None: whose it lies in below ``landing``, else the tenant that its first
            event names, else its folder's name.
        moment: when it would be received.
        landing: the landing folder; None: it is not looked at.
        project: the tenant that exists without a file of the landing folder.

    Raises:
        RefusalError: ``no_file``; ``empty_file``; ``no_tenant`` when neither the events nor the folder name one.
    """
    try:
        file = one_file(path, tenant or "", path.name)
    except OSError as error:
        raise RefusalError("no_file", f"{path}: {error.strerror}", "FILE") from error
    folder = path.resolve().parent
    landed = folder.name if landing is not None and folder.parent == landing.resolve() else None
    file = one_file(path, tenant or landed or _tenant_of(file), path.name)
    try:
        frames = list(validated(file, moment))
    except RefusalError as refusal:
        frames = [unreadable_file(file, refusal, moment)]
    if not any(frame.height for frame in frames):
        raise RefusalError(
            "empty_file", f"{path}: the file holds no event: write one on each line, or remove it", "FILE"
        )
    lines = pl.concat([frame.select(_JUDGED) for frame in frames])
    judged = with_repeats(lines, "line").sort("line")
    good = judged.filter(pl.col("reason").is_null())
    note = ""
    if landing is not None and landed == file.tenant != project:
        note = _unless_created(landing, file.tenant, moment)
    judgement = (_types(good), _reasons(judged), note)
    return CheckedFile(path.name, name_problem(path.name), file.tenant, lines.height, *judgement)


def _unless_created(landing: Path, tenant: str, moment: datetime) -> str:
    """A sentence where no file of the tenant's folder creates it."""
    files, _ = landing_files(landing, tenant)
    if Founders(set(), files, moment).comes(tenant):
        return ""
    return (
        f"no file in {landing.name}/{tenant} creates the tenant {tenant!r}: unless it exists, every line is refused; "
        "send billing.tenant.created, or a catalog, first"
    )


_JUDGED = ("line", *EVENT_KEY, *COMPARED_FIELDS, "event_date", "reason", "message", "path", "payload_hash")


def _tenant_of(file: LandingFile) -> str:
    try:
        named = next((frame["tenant"].drop_nulls() for frame in read_chunks(file)), pl.Series(dtype=pl.String))
    except RefusalError:
        named = pl.Series(dtype=pl.String)
    found = named[0] if len(named) else file.path.absolute().parent.name
    if not re.fullmatch(TENANT_KEY, found):
        raise RefusalError("no_tenant", "name the tenant that the file is meant for: --tenant KEY", "--tenant")
    return str(found)


def _types(good: pl.DataFrame) -> pl.DataFrame:
    grouped = good.group_by("type").agg(
        pl.len().alias("events"), pl.col("time").min().alias("first"), pl.col("time").max().alias("last")
    )
    return CHECKED_TYPES.conform(grouped.sort(IS_BILLING, "type").select(CHECKED_TYPES.names()))


def _reasons(judged: pl.DataFrame) -> pl.DataFrame:
    """By reason and message: like mistakes are one row with their number and the first of their lines."""
    grouped = (
        judged.filter(pl.col("reason").is_not_null())
        .group_by("reason", "message", maintain_order=True)
        .agg(pl.len().alias("lines"), pl.col("line").first().alias("first_line"), pl.col("path").first())
    )
    return CHECKED_REASONS.conform(grouped.select(CHECKED_REASONS.names()))
