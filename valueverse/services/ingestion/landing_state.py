"""What lies in the landing folder: whether it has changed, and what of it is not taken."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

import polars as pl

from valueverse.errors import RefusalError
from valueverse.landing import Ignored, files_to_take, ignored_files
from valueverse.services.ingestion.file_manifest import taken_files

if TYPE_CHECKING:
    from pathlib import Path

    from valueverse.platform.lake import Lake

UNFINISHED = ".part"
_SHOWN = 10


def landing_state(landing: Path) -> str:
    """Digest of the finished files' names, sizes and times; empty when there is none."""
    if not landing.is_dir():
        return ""
    entries = []
    for path in sorted(landing.rglob("*")):
        try:
            entry = path.lstat()
        except OSError:
            # Gone since it was listed, or not to be read: ingestion says so, and the others are looked at.
            continue
        if not stat.S_ISDIR(entry.st_mode) and path.suffix != UNFINISHED:
            # A file's name may hold any bytes.
            name = os.fsencode(path.relative_to(landing))
            entries.append(name + f":{entry.st_size}:{entry.st_mtime_ns}".encode())
    return hashlib.sha256(b"\n".join(entries)).hexdigest() if entries else ""


_EMPTY = "it holds no event: write one on each line, or remove it"


def files_without_events(landing: Path, lake: Lake) -> list[Ignored]:
    """What lies in the landing folder and adds no event, and why: what is no file to take, and what was taken and is
    empty.

    Raises:
        RefusalError: ``landing_unreadable``; ``lake_unreadable``.
    """
    there = files_to_take(landing)
    empty = taken_files(lake).filter(pl.col("received") == 0, pl.col("file").is_in(there))["file"].unique().sort()
    return [*ignored_files(landing), *(Ignored(name, _EMPTY) for name in empty)]


def ignored_lines(landing: Path, lake: Lake) -> list[str]:
    """Files that add no event, a sentence each with the reason: the first ten, and how many there are."""
    try:
        found = files_without_events(landing, lake)
    except RefusalError as refusal:
        return [refusal.message]
    lines = [f"not taken from the landing folder: {one.name}: {one.reason}" for one in found[:_SHOWN]]
    return lines + [f"... and {len(found) - _SHOWN} more in {landing}"] * (len(found) > _SHOWN)
