"""JSON files: a list of events, one event over several lines, or one event per line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from valueverse.events import read_lines, refused_lines
from valueverse.landing.json_lists import BrokenListError, is_one_value, list_elements
from valueverse.landing.lines import read_ndjson
from valueverse.landing.streams import blocks, whole_content, without_marks
from valueverse.schemas.events import PARSED_LINES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LARGEST = 256 * 2**20
"""Bytes of a file that is one JSON value: a list is read as a whole."""
_LONGEST_VALUE = 4 * 2**20
"""Characters of an element of a list, or of a document by itself, that are decoded: of a few bytes of JSON, e.g. empty
lists, twenty times as many are made in memory. Far shorter ones are refused as events."""
_CHUNK = 50_000
_LINE_END = re.compile(rb"[\r\n]")
_LINES = PARSED_LINES.part("line", "raw")


def read_json(path: Path) -> Iterator[pl.DataFrame]:
    """PARSED_LINES frames of a JSON file."""
    head = without_marks(next(blocks(path), b"")).strip()
    if head.startswith(b"["):
        yield from _read_list(_text(path))
        return
    # Only a file that starts with the first line of an object can be one event over several lines.
    if len(lines := _LINE_END.split(head, 1)) > 1 and not is_one_value(lines[0].decode("utf-8", "replace")):
        text = _text(path)
        if len(text) <= _LONGEST_VALUE and is_one_value(text):
            yield read_lines(pl.DataFrame({"line": [1], "raw": [text]}, schema=_LINES))
            return
    yield from read_ndjson(path)


def _text(path: Path) -> str:
    return without_marks(whole_content(path, _LARGEST)).decode(errors="replace").strip()


def _read_list(text: str) -> Iterator[pl.DataFrame]:
    """Each element as it is written; from where the list is broken, what is left is one refused line."""
    elements: list[str] = []
    done = 0
    broken: BrokenListError | None = None
    try:
        for element in list_elements(text, _LONGEST_VALUE):
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
