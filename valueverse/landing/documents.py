"""JSON files: a list of events, one event over several lines, or one event per line."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import polars as pl

from valueverse.events import read_lines, refused_lines
from valueverse.landing.lines import read_ndjson
from valueverse.landing.streams import blocks, whole_content
from valueverse.schemas.events import PARSED_LINES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LARGEST = 256 * 2**20
"""Bytes of a file that is one JSON value: a list is read as a whole."""
_CHUNK = 50_000
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder(parse_int=str, parse_float=str)
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
    if b"\n" in head.strip() and not _is_one_value(
        head.lstrip(b"\xef\xbb\xbf \t\r\n").partition(b"\n")[0].decode("utf-8", "replace")
    ):
        text = _text(path)
        if _is_one_value(text):
            yield read_lines(pl.DataFrame({"line": [1], "raw": [text]}, schema=_LINES))
            return
    yield from read_ndjson(path)


def _text(path: Path) -> str:
    return whole_content(path, _LARGEST).decode("utf-8-sig", errors="replace").strip()


def _is_one_value(text: str) -> bool:
    try:
        return _DECODER.raw_decode(text)[1] == len(text.rstrip())
    except (ValueError, RecursionError):
        return False


def _read_list(text: str) -> Iterator[pl.DataFrame]:
    """Each element as it is written; from where the list is broken, what is left is one refused line."""
    elements: list[str] = []
    done = 0
    place = _next(text, 1)
    broken = ""
    while text[place : place + 1] != "]" or elements or done:
        try:
            end = _DECODER.raw_decode(text, place)[1]
        except (ValueError, RecursionError):
            broken = "the list breaks off or is no JSON from here on; the elements before are taken"
            break
        elements.append(text[place:end])
        if len(elements) == _CHUNK:
            yield _numbered(elements, done)
            done, elements = done + _CHUNK, []
        place = _next(text, end)
        if text[place : place + 1] != ",":
            break
        place = _next(text, place + 1)
    if not broken and text[place:] != "]":
        broken = "after an element of the list ',' or ']' is expected; the elements before are taken"
    yield _numbered(elements, done)
    if broken:
        rest = pl.DataFrame({"line": [done + len(elements) + 1], "raw": [text[place:]]}, schema=_LINES)
        yield refused_lines(rest, broken)


def _numbered(elements: list[str], done: int) -> pl.DataFrame:
    lines = pl.DataFrame({"raw": elements}, schema={"raw": pl.String})
    return read_lines(lines.select(pl.int_range(done + 1, done + pl.len() + 1, dtype=pl.Int64).alias("line"), "raw"))


def _next(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place
