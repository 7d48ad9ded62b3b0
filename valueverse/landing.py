"""Event files: which there are in a landing folder, and what is in each, line by line, whatever its form.

An edge like ``commands``: it opens files and hands their lines to ``events``. Ingestion and ``simulate`` read by it.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from dataclasses import dataclass
from io import BytesIO, StringIO
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa
from pyarrow import csv as arrow_csv

from valueverse.errors import RefusalError
from valueverse.events.reading import PARSED, read_lines, read_rows, refused_lines
from valueverse.events.validation import TENANT_KEY

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = re.compile(r"\.(ndjson|json|csv|parquet)(?:\.(?:gz|zst))?\Z")
_BLOCK = 2**20
_NO_UTF8 = "the line holds bytes that are no UTF-8; save the file as UTF-8"
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)


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
    """All lines of a file as PARSED. A file that cannot be read at all is one refused line that says why.

    ``line`` counts from 1: lines of NDJSON, elements of a JSON array, rows of Parquet, rows of CSV (the header is 1).
    """
    match = FORMATS.search(file.path.name)
    form = match[1] if match else ""
    try:
        if form == "parquet":
            return read_rows(pl.read_parquet(_opened(file.path)).with_row_index("line", offset=1))
        if form == "csv":
            return _read_csv(file.path)
        return _read_json(file.path) if form == "json" else _read_ndjson(file.path)
    except (pl.exceptions.PolarsError, pa.ArrowException, OSError, ValueError, MemoryError) as error:
        said = " ".join(str(error).split())[:200].replace("\x00", "?")
        message = f"the file cannot be read: {said}; send it again, whole"
        return refused_lines(pl.DataFrame({"line": [0], "raw": [""]}), message)


def _content(path: Path) -> bytes:
    with pa.input_stream(str(path), compression="detect") as stream:
        return bytes(stream.read())


def _opened(path: Path) -> Path | BytesIO:
    return path if path.suffix == ".parquet" else BytesIO(_content(path))


def _read_ndjson(path: Path) -> pl.DataFrame:
    """Bytes that are no UTF-8 spoil their own line only."""
    try:
        return read_lines(_numbered(pl.scan_lines(path).collect().to_series()))
    except pl.exceptions.ComputeError:
        lines = _content(path).split(b"\n")
    told = _numbered(pl.Series([line.decode("utf-8", errors="replace") for line in lines], dtype=pl.String))
    broken = pl.Series([not _is_utf8(line) for line in lines], dtype=pl.Boolean)
    return pl.concat([read_lines(told.filter(~broken)), refused_lines(told.filter(broken), _NO_UTF8)]).sort("line")


def _numbered(texts: pl.Series) -> pl.DataFrame:
    numbered = texts.alias("raw").to_frame().with_row_index("line", offset=1)
    return numbered.with_columns(
        pl.col("line").cast(pl.Int64),
        pl.when(pl.col("line") == 1).then(pl.col("raw").str.strip_prefix("\ufeff")).otherwise("raw").alias("raw"),
    )


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _read_json(path: Path) -> pl.DataFrame:
    """A list of events, one event over several lines, or one event per line."""
    text = _content(path).decode("utf-8-sig", errors="replace").strip()
    if text.startswith("["):
        return _read_array(text)
    if "\n" in text and _is_one_value(text):
        return read_lines(pl.DataFrame({"line": [1], "raw": [text]}, schema={"line": pl.Int64, "raw": pl.String}))
    return _read_ndjson(path)


def _is_one_value(text: str) -> bool:
    try:
        return _DECODER.raw_decode(text)[1] == len(text)
    except (ValueError, RecursionError):
        return False


def _read_array(text: str) -> pl.DataFrame:
    """Each element as it is written; from where the list is broken, what is left is one refused line."""
    elements: list[str] = []
    place = _next(text, 1)
    broken = ""
    while text[place : place + 1] != "]" or elements:
        try:
            end = _DECODER.raw_decode(text, place)[1]
        except (ValueError, RecursionError):
            broken = "the list breaks off or is no JSON from here on; the elements before are taken"
            break
        elements.append(text[place:end])
        place = _next(text, end)
        if text[place : place + 1] != ",":
            break
        place = _next(text, place + 1)
    if not broken and text[place:] != "]":
        broken = "after an element of the list ',' or ']' is expected; the elements before are taken"
    lines = pl.DataFrame({"raw": elements}, schema={"raw": pl.String}).select(
        pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("line"), "raw"
    )
    read = read_lines(lines)
    if not broken:
        return read
    rest = pl.DataFrame({"line": [len(elements) + 1], "raw": [text[place:]]})
    return pl.concat([read, refused_lines(rest, broken)])


def _next(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _read_csv(path: Path) -> pl.DataFrame:
    """CSV rows as text; a row of too many or too few fields, or with bytes that are no UTF-8, is refused by itself."""
    content = _content(path)
    if not content.removeprefix(b"\xef\xbb\xbf").strip():
        return PARSED.to_frame()
    ragged: list[arrow_csv.InvalidRow] = []

    def keep(row: arrow_csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    # One block, because a row longer than a block would fail the file.
    block = arrow_csv.ReadOptions(use_threads=False, block_size=min(len(content) + 1, 2**31 - 1))
    header = next(csv.reader(StringIO(content[:_BLOCK].decode("utf-8-sig", errors="replace"))))
    table = arrow_csv.read_csv(
        pa.BufferReader(content),
        read_options=block,
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=keep),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.binary()), strings_can_be_null=False
        ),
    )
    taken = {row.number for row in ragged}
    numbers = [number for number in range(2, table.num_rows + len(ragged) + 2) if number not in taken]
    binary = pl.DataFrame(pl.from_arrow(table)).with_columns(pl.Series("line", numbers, dtype=pl.Int64))
    rows, broken = _as_utf8(binary)
    refused = [
        refused_lines(
            pl.DataFrame({"line": [row.number], "raw": [row.text]}),
            f"the row has {row.actual_columns} fields, the header {row.expected_columns}",
        )
        for row in ragged
    ]
    return pl.concat([read_rows(rows), broken, *refused]).sort("line")


def _as_utf8(binary: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows as text, and PARSED of those that are none."""
    columns = pl.col(name for name in binary.columns if name != "line")
    try:
        return binary.with_columns(columns.cast(pl.String)), PARSED.to_frame()
    except pl.exceptions.ComputeError:
        rows = binary.rows()
    whole = pl.Series([all(_is_utf8(value) for value in row if isinstance(value, bytes)) for row in rows])
    told = [
        {"line": row[-1], "raw": ",".join(value.decode(errors="replace") for value in row if isinstance(value, bytes))}
        for row, good in zip(rows, whole, strict=True)
        if not good
    ]
    refused = refused_lines(pl.DataFrame(told, schema={"line": pl.Int64, "raw": pl.String}), _NO_UTF8)
    return binary.filter(whole).with_columns(columns.cast(pl.String)), refused
