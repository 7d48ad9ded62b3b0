"""What is in a file: its lines as PARSED_LINES, a bounded number at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.errors import RefusalError
from valueverse.events import refused_lines
from valueverse.landing.documents import read_json
from valueverse.landing.files import FORMATS
from valueverse.landing.lines import read_ndjson
from valueverse.landing.parquet import read_parquet
from valueverse.landing.streams import guarded, unreadable
from valueverse.landing.tables import read_csv
from valueverse.schemas.events import PARSED_LINES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.landing.files import LandingFile

_READERS = {"ndjson": read_ndjson, "json": read_json, "csv": read_csv, "parquet": read_parquet}


def read_chunks(file: LandingFile) -> Iterator[pl.DataFrame]:
    """All lines of a file as PARSED_LINES frames of bounded size, in order.

    ``line`` counts from 1: lines of NDJSON, elements of a JSON array, rows of Parquet, rows of CSV (the header is 1).

    Raises:
        RefusalError: ``unreadable_file``, also after some frames; then the whole file is refused.
    """
    match = FORMATS.search(file.path.name)
    with guarded():
        if file.refused:
            raise unreadable(file.refused)
        yield from _READERS[match[1] if match else "ndjson"](file.path)


def refused_file(refusal: RefusalError) -> pl.DataFrame:
    """The one line that represents a file that cannot be read."""
    return refused_lines(pl.DataFrame({"line": [0], "raw": [""]}), refusal.message, refusal.code)


def read_file(file: LandingFile) -> pl.DataFrame:
    """All lines of a file as PARSED_LINES. A file that cannot be read is one refused line that says why."""
    try:
        return pl.concat([PARSED_LINES.to_frame(), *read_chunks(file)])
    except RefusalError as refusal:
        return refused_file(refusal)
