"""Whether the landing folder has changed."""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

UNFINISHED = ".part"


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
