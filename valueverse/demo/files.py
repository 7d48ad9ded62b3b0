"""A demo event and the files it may travel in; the bytes depend on the events alone, never on the clock."""

from __future__ import annotations

import csv
import gzip
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

Event = dict[str, Any]
"""One CloudEvent (contracts.md, section 1) as a JSON object."""

CSV_COLUMNS = ("specversion", "id", "source", "type", "subject", "time", "tenant", "replaces", "data")


@dataclass(frozen=True, slots=True)
class DemoFile:
    """A file for the landing folder: ``landing/<tenant>/<name>``."""

    tenant: str
    name: str
    content: bytes


def compact(value: object) -> str:
    """Canonical-looking JSON on one line: sorted keys, no blanks, readable letters."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def ndjson(events: Iterable[Event | str]) -> bytes:
    """One event per line; a ``str`` goes out as it stands, which is how a broken line gets into a file."""
    lines = (event if isinstance(event, str) else compact(event) for event in events)
    return "".join(f"{line}\n" for line in lines).encode()


def csv_table(events: Iterable[Event]) -> bytes:
    """The same events as CSV, with ``data`` as a JSON string in its own column."""
    out = io.StringIO()
    writer = csv.DictWriter(out, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for event in events:
        writer.writerow({**event, "data": compact(event["data"])})
    return out.getvalue().encode()


def gzipped(content: bytes) -> bytes:
    """Gzip without the name and the hour, so that the same content is the same file."""
    return gzip.compress(content, compresslevel=6, mtime=0)
