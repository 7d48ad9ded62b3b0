"""CSV: rows as text, a block at a time."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import csv as arrow_csv

from valueverse.events import ENVELOPE_ATTRIBUTES, read_rows, refused_lines
from valueverse.landing.lines import NO_UTF8, is_utf8
from valueverse.landing.streams import BLOCK, blocks, unreadable, with_line_ends
from valueverse.schemas.events import PARSED_LINES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy.typing as npt

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def check_columns(names: list[str]) -> None:
    """Refuse a table that holds no event at all.

    Raises:
        RefusalError: ``unreadable_file``.
    """
    if not set(names) & set(ENVELOPE_ATTRIBUTES):
        shown = ", ".join(name[:40] for name in names[:8])
        separator = next((one for one in (";", "\t", "|") if len(names) == 1 and one in names[0]), None)
        if separator:
            mark = {"\t": "tabs"}.get(separator, f"'{separator}'")
            raise unreadable(f"its columns are separated by {mark}: separate them by commas")
        raise unreadable(f"none of its columns ({shown}) is an attribute of an event such as id, source, type or time")


def read_csv(path: Path) -> Iterator[pl.DataFrame]:
    """PARSED_LINES frames; a row with too many or too few fields, or with bytes that are no UTF-8, is refused alone."""
    parts = with_line_ends(blocks(path))
    head = next(parts, b"")
    if not head.removeprefix(_BOM).strip():
        return
    if head.startswith(_UTF16):
        raise unreadable("it is UTF-16, not UTF-8")
    ragged: list[arrow_csv.InvalidRow] = []

    def keep(row: arrow_csv.InvalidRow) -> str:
        ragged.append(row)
        return "skip"

    header = next(csv.reader(StringIO(head[: 2**20].decode("utf-8-sig", errors="replace"), newline="")))
    check_columns(header)
    reader = arrow_csv.open_csv(
        pa.PythonFile(_Parts(head, parts), mode="r"),
        # A row longer than a block fails the file; no event is as long.
        read_options=arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=keep),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys(header, pa.binary()), strings_can_be_null=False
        ),
    )
    number = 2
    for batch in reader:
        lines, number = _line_numbers(batch.num_rows, number, [row.number for row in ragged])
        passed = [row for row in ragged if row.number < number]
        ragged = [row for row in ragged if row.number >= number]
        yield _parsed(pl.DataFrame(pl.from_arrow(batch)), lines, passed)
    yield _refused(ragged)


class _Parts:
    """Blocks of bytes as the file that Arrow reads from."""

    closed = False

    def __init__(self, head: bytes, parts: Iterator[bytes]) -> None:
        self._left, self._parts = head, parts

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            self._left = next(self._parts, b"")
        size = len(self._left) if size < 0 else size
        taken, self._left = self._left[:size], self._left[size:]
        return taken

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


def _line_numbers(rows: int, first: int, taken: list[int]) -> tuple[npt.NDArray[np.int64], int]:
    """Numbers of ``rows`` rows from ``first`` on, those of refused rows between them left out; and the next number."""
    numbers = np.setdiff1d(np.arange(first, first + rows + len(taken)), np.array(taken, dtype=np.int64))[:rows]
    return numbers, int(numbers[-1]) + 1 if rows else first


def _parsed(binary: pl.DataFrame, lines: npt.NDArray[np.int64], ragged: list[arrow_csv.InvalidRow]) -> pl.DataFrame:
    rows, broken = as_utf8(binary.with_columns(pl.Series("line", lines, dtype=pl.Int64)))
    return pl.concat([read_rows(rows), broken, _refused(ragged)]).sort("line")


def _refused(ragged: list[arrow_csv.InvalidRow]) -> pl.DataFrame:
    refused = [
        refused_lines(
            pl.DataFrame({"line": [row.number], "raw": [row.text.encode("utf-8", "replace").decode()]}),
            f"the row has {row.actual_columns} fields, the header {row.expected_columns}",
        )
        for row in ragged
    ]
    return pl.concat([PARSED_LINES.to_frame(), *refused])


def as_utf8(binary: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows with their binary columns as text, and PARSED_LINES of those whose bytes are none."""
    names = [name for name, dtype in binary.schema.items() if dtype == pl.Binary]
    columns = pl.col(names).cast(pl.String)
    try:
        return binary.with_columns(columns), PARSED_LINES.to_frame()
    except pl.exceptions.PolarsError:
        rows = binary.select("line", *names).rows()
    whole = pl.Series([all(value is None or is_utf8(value) for value in row[1:]) for row in rows], dtype=pl.Boolean)
    undecodable = [
        {"line": row[0], "raw": ",".join(value.decode(errors="replace") for value in row[1:] if value is not None)}
        for row, good in zip(rows, whole, strict=True)
        if not good
    ]
    refused = refused_lines(pl.DataFrame(undecodable, schema=PARSED_LINES.part("line", "raw")), NO_UTF8)
    return binary.filter(whole).with_columns(columns), refused
