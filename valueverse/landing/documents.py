"""JSON files: a list of events, one event over several lines, or one event per line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from valueverse.events import read_lines, refused_lines
from valueverse.landing.json_lists import BrokenListError, is_one_value, list_elements
from valueverse.landing.lines import read_ndjson
from valueverse.landing.streams import blocks, whole_content
from valueverse.schemas.events import PARSED_LINES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LARGEST = 256 * 2**20
"""Bytes of a file that is one JSON value: a list is read as a whole."""
_CHUNK = 50_000
_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(.?)", re.DOTALL)
_LINES = PARSED_LINES.part("line", "raw")


def read_json(path: Path) -> Iterator[pl.DataFrame]:
    """PARSED_LINES frames of a JSON file."""
    head = next(blocks(path), b"")
    found = _START.match(head)
    if found is not None and found[1] == b"[":
        yield from _read_list(_text(path))
        return
    # Only a file that starts with the first line of an object can be one event over several lines.
    if b"\n" in head.strip() and not is_one_value(
        head.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")[0].decode("utf-8", "replace")
    ):
        text = _text(path)
        if is_one_value(text):
            yield read_lines(pl.DataFrame({"line": [1], "raw": [text]}, schema=_LINES))
            return
    yield from read_ndjson(path)


def _text(path: Path) -> str:
    return whole_content(path, _LARGEST).decode("utf-8-sig", errors="replace").strip()


def _read_list(text: str) -> Iterator[pl.DataFrame]:
    """Each element as it is written; from where the list is broken, what is left is one refused line."""
    elements: list[str] = []
    done = 0
    broken: BrokenListError | None = None
    try:
        for element in list_elements(text):
            elements.append(element)
            if len(elements) == _CHUNK:
                yield _numbered(elements, done)
                done, elements = done + _CHUNK, []
    except BrokenListError as error:
        broken = error
    yield _numbered(elements, done)
    if broken is not None:
        left = {"line": [done + len(elements) + 1], "raw": [text[broken.place :]]}
        yield refused_lines(pl.DataFrame(left, schema=_LINES), str(broken))


def _numbered(elements: list[str], done: int) -> pl.DataFrame:
    lines = pl.DataFrame({"raw": elements}, schema={"raw": pl.String})
    return read_lines(lines.select(pl.int_range(done + 1, done + pl.len() + 1, dtype=pl.Int64).alias("line"), "raw"))
