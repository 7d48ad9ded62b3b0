"""Event files: which there are in a landing folder, and what is in each, line by line, whatever its form.

An edge like ``commands``: it opens files and hands their lines to ``events``. Ingestion and ``simulate`` read by it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from pyarrow import csv as arrow_csv

from valueverse.errors import RefusalError
from valueverse.events.reading import PARSED, read_lines, read_rows
from valueverse.events.strict import dumps, loads
from valueverse.events.validation import TENANT_KEY

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = re.compile(r"\.(ndjson|json|csv|parquet)(?:\.(?:gz|zst))?\Z")
_BLOCK = 2**20


@dataclass(frozen=True)
class LandingFile:
    """A file to take: the tenant of its folder, its name below the landing folder, and its content's SHA-256."""

    tenant: str
    name: str
    path: Path
    file_hash: str
    size: int


def content_hash(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def landing_files(landing: Path) -> list[LandingFile]:
    """Whole files of ``landing/<tenant>/``, in order of name; ``.part`` files and hidden ones are left alone.

    Raises:
        RefusalError: ``landing_unreadable`` when the folder may not be read.
    """
    found = []
    try:
        for folder in sorted(path for path in landing.iterdir() if path.is_dir()):
            if not re.match(TENANT_KEY, folder.name):
                continue
            for path in sorted(folder.iterdir()):
                if path.is_file() and not path.name.startswith(".") and FORMATS.search(path.name):
                    name = f"{folder.name}/{path.name}"
                    found.append(LandingFile(folder.name, name, path, content_hash(path), path.stat().st_size))
    except FileNotFoundError:
        return found
    except OSError as error:
        raise RefusalError(
            "landing_unreadable", f"{error.filename}: {error.strerror}; give this user the right to read it"
        ) from error
    return found


def read_file(file: LandingFile) -> pl.DataFrame:
    """All lines of a file as PARSED. A file that cannot be read at all is one refused line that says why."""
    match = FORMATS.search(file.path.name)
    form = match[1] if match else ""
    try:
        if form == "parquet":
            return read_rows(pl.read_parquet(file.path).with_row_index("line", offset=1))
        if form == "csv":
            return _read_csv(file.path)
        lines = _read_lines(file.path)
        array = form == "json" and _starts_array(lines)
        return _read_array(lines) if array else read_lines(lines)
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError, ValueError, RefusalError) as error:
        said = " ".join(str(error).split())[:200]
        return _refused_file(f"the file cannot be read: {said}; send it again under a new name")


def _refused_file(message: str) -> pl.DataFrame:
    row = {"line": 0, "raw": "", "reason": "malformed", "message": message, "path": ""}
    return pl.DataFrame([row], schema=PARSED)


def _read_lines(path: Path) -> pl.DataFrame:
    """line (from 1), raw. Bytes that are no UTF-8 spoil their own line only."""
    try:
        lines = pl.scan_lines(path).collect().to_series().alias("raw")
    except pl.exceptions.PolarsError:
        with pa.input_stream(str(path), compression="detect") as stream:
            content = bytes(stream.read())
        texts = [line.decode("utf-8", errors="surrogateescape") for line in content.split(b"\n")]
        # U+0000 makes the reader refuse the line as malformed; the bytes themselves cannot be kept as text.
        lines = pl.Series("raw", ["\x00" if _broken(text) else text for text in texts], dtype=pl.String)
    numbered = lines.to_frame().with_row_index("line", offset=1).with_columns(pl.col("line").cast(pl.Int64))
    return numbered.with_columns(pl.col("raw").str.strip_prefix("\ufeff"))


def _broken(text: str) -> bool:
    return any("\udc80" <= character <= "\udcff" for character in text)


def _starts_array(lines: pl.DataFrame) -> bool:
    first = lines.filter(pl.col("raw").str.strip_chars() != "")["raw"]
    return bool(len(first)) and first[0].lstrip().startswith("[")


def _read_array(lines: pl.DataFrame) -> pl.DataFrame:
    events = loads("\n".join(lines["raw"]))
    if not isinstance(events, list):
        raise RefusalError("malformed", "a JSON file holds a list of events, or one event per line")
    texts = [dumps(event) for event in events]
    return read_lines(
        pl.DataFrame({"line": range(1, len(texts) + 1), "raw": texts}, schema={"line": pl.Int64, "raw": pl.String})
    )


def _read_csv(path: Path) -> pl.DataFrame:
    """CSV rows as text; a row with too many or too few fields is refused by itself."""
    ragged: list[arrow_csv.InvalidRow] = []

    def keep(row: arrow_csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    with pa.input_stream(str(path), compression="detect") as stream:
        content = stream.read()
    if not bytes(content).strip():
        return PARSED.to_frame()
    forgiving = arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=lambda _: "skip")
    header = arrow_csv.open_csv(pa.BufferReader(content), parse_options=forgiving).schema.names
    table = arrow_csv.read_csv(
        pa.BufferReader(content),
        read_options=arrow_csv.ReadOptions(use_threads=False),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=keep),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False
        ),
    )
    rows = (
        pl.DataFrame(pl.from_arrow(table)).with_row_index("line", offset=1).with_columns(pl.col("line").cast(pl.Int64))
    )
    refused = [
        {
            "line": rows.height + 1 + place,
            "raw": row.text,
            "reason": "malformed",
            "message": f"row {row.number} has {row.actual_columns} fields, the header {row.expected_columns}",
            "path": "",
        }
        for place, row in enumerate(ragged)
    ]
    return pl.concat([read_rows(rows), pl.DataFrame(refused, schema=PARSED)])
