"""NDJSON: blocks of lines, parsed on all cores while the next are read."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING

import polars as pl

from valueverse.events import read_lines, refused_lines
from valueverse.landing.streams import blocks, whole_lines, with_line_ends, without_marks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NO_UTF8 = "the line holds bytes that are no UTF-8; save the file as UTF-8"


def read_ndjson(path: Path) -> Iterator[pl.DataFrame]:
    """PARSED_LINES frames of a file of one event per line."""
    waiting: deque[Future[pl.DataFrame]] = deque()
    first = 1
    # Polars lets go of the interpreter, so blocks share the cores.
    with ThreadPoolExecutor(pl.thread_pool_size()) as pool:
        try:
            for block in whole_lines(with_line_ends(blocks(path))):
                content = without_marks(block) if first == 1 else block
                waiting.append(pool.submit(_read_block, content, first))
                first += block.count(b"\n")
                if len(waiting) > pl.thread_pool_size():
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


def _read_block(block: bytes, first: int) -> pl.DataFrame:
    """Bytes that are no UTF-8 spoil their own line only."""
    try:
        texts = pl.scan_lines(BytesIO(block)).collect().to_series()
    except pl.exceptions.PolarsError:
        return _with_broken_lines(block, first)
    return read_lines(_numbered(texts, first))


def _numbered(texts: pl.Series, first: int) -> pl.DataFrame:
    numbered = texts.alias("raw").to_frame().with_row_index("line", offset=first)
    return numbered.select(pl.col("line").cast(pl.Int64), "raw")


def _with_broken_lines(block: bytes, first: int) -> pl.DataFrame:
    lines = [(number, line) for number, line in enumerate(block.split(b"\n"), first) if line.strip()]
    frame = pl.DataFrame(
        {
            "line": [number for number, _ in lines],
            "raw": [line.decode("utf-8", errors="replace") for _, line in lines],
            "broken": [not is_utf8(line) for _, line in lines],
        },
        schema={"line": pl.Int64, "raw": pl.String, "broken": pl.Boolean},
    )
    good, broken = frame.filter(~pl.col("broken")), frame.filter("broken")
    return pl.concat([read_lines(good.drop("broken")), refused_lines(broken.drop("broken"), NO_UTF8)]).sort("line")


def is_utf8(text: bytes) -> bool:
    """Whether the bytes are text."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
