"""JSON texts judged by their shape: the keys of one text make a regular expression that reads all texts like it.

Few shapes of lines make up a file. What such an expression accepts is JSON without repeated keys, escapes and nesting,
whose numbers no reader could change; everything else is left to the general way of reading.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from valueverse.events.strict import ENVELOPE_ATTRIBUTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MOST_SHAPES = 16
_MOST_KEYS = 64
_LEAST_SHARE = 32
"""A shape is worth its pass over the texts when one in so many has it."""
_LONGEST = 4_000
"""Characters of a text that a shape is made of."""
_SPACE = r"[ \t\r\n]*"
_CHARACTERS = r'[^"\\\x00-\x1f]*'
_NUMBER = r"-?(?:0|[1-9][0-9]{0,11}|(?:0|[1-9][0-9]{0,5})\.[0-9]{1,7})"
"""At most 13 significant digits, below 10^12."""
_SCALAR = rf'(?:"{_CHARACTERS}"|{_NUMBER}|true|false|null)'


def flat_objects(texts: pl.Series) -> pl.Series:
    """Which texts are objects of distinct keys and scalar values, to be taken as they stand."""
    frame = texts.to_frame("text").with_row_index("place")
    found = [part["place"] for part, _ in _by_shape(frame, _object_shape)]
    known = pl.concat([frame["place"].clear(), *found])
    return pl.select(pl.repeat(value=False, n=len(texts), dtype=pl.Boolean)).to_series().scatter(known, True)


def flat_lines(lines: pl.DataFrame) -> pl.DataFrame:
    """The attributes (as text) and ``data`` (as it stands) of lines (line, raw) that are plain events.

    Returns:
        line, raw, ATTRIBUTES (null: absent), data; in the order of ``lines``.
    """
    frame = lines.rename({"raw": "text"}).with_row_index("place")
    parts = [_cut(part, shape.names) for part, shape in _by_shape(frame, _line_shape)]
    if not parts:
        return lines.clear().with_columns(
            pl.lit(None, pl.String).alias(name) for name in (*ENVELOPE_ATTRIBUTES, "data")
        )
    whole = parts[0] if len(parts) == 1 else pl.concat(parts).sort("place")
    return whole.drop("place")


@dataclass(frozen=True)
class _Shape:
    """An expression for whole texts, and the keys before ``data``, whose values are strings."""

    pattern: str
    names: tuple[str, ...] = ()


def _by_shape(frame: pl.DataFrame, shape_of: Callable[[str], _Shape | None]) -> Iterator[tuple[pl.DataFrame, _Shape]]:
    """Rows of ``frame`` (place, text, ...), each once, by the shapes that its own texts have."""
    left = frame
    for _ in range(_MOST_SHAPES):
        shape = None if left.is_empty() else shape_of(left["text"][0])
        if shape is None:
            left = left[1:]
            continue
        alike = left["text"].str.contains(shape.pattern)
        if alike.all():
            yield left, shape
            return
        if int(alike.sum()) * _LEAST_SHARE < left.height:
            left = left[1:]
            continue
        yield left.filter(alike), shape
        left = left.filter(~alike)


def _cut(part: pl.DataFrame, names: tuple[str, ...]) -> pl.DataFrame:
    """Values of lines of one shape, in which the quotation marks have fixed numbers: four for each attribute."""
    pieces = pl.col("text").str.splitn('"', 4 * len(names) + 3).struct.unnest()
    data = pl.col(f"field_{4 * len(names) + 2}").str.strip_chars_start(" \t\r\n:").str.strip_suffix("}")
    fields = {name: pl.col(f"field_{4 * place + 3}") for place, name in enumerate(names)}
    values = (
        *(fields.get(name, pl.lit(None, pl.String)).alias(name) for name in ENVELOPE_ATTRIBUTES),
        data.str.strip_chars_end(" \t\r\n").alias("data"),
    )
    # One query: for a few lines each costs more than its work.
    return part.rename({"text": "raw"}).hstack(part.lazy().select(pieces).select(values).collect())


def _parsed(text: str) -> Any:
    """A JSON text with objects as tuples of (key, value); None for what is none."""
    try:
        return json.loads(text, object_pairs_hook=tuple) if len(text) <= _LONGEST else None
    except (ValueError, RecursionError):
        return None


def _members(found: Any) -> tuple[tuple[str, Any], ...]:
    """Keys and values of an object whose keys can stand in a shape; empty for any other."""
    if not isinstance(found, tuple) or len(found) > _MOST_KEYS:
        return ()
    keys = [key for key, _ in found]
    plain = all(key and key.isprintable() and not set(key) & {'"', "\\"} for key in keys)
    return found if plain and len(set(keys)) == len(keys) else ()


def _shape(members: list[tuple[str, str]]) -> str:
    written = (f'"{pl.escape_regex(key)}"{_SPACE}:{_SPACE}{value}' for key, value in members)
    return rf"\{{{_SPACE}{f'{_SPACE},{_SPACE}'.join(written)}{_SPACE}\}}"


def _flat(members: tuple[tuple[str, Any], ...]) -> str:
    return _shape([(key, _SCALAR) for key, _ in members])


def _object_shape(text: str) -> _Shape | None:
    members = _members(_parsed(text))
    return _Shape(f"^{_flat(members)}$") if members else None


def _line_shape(text: str) -> _Shape | None:
    """Attributes with strings, known ones or others; ``data`` stands last, as an object."""
    *attributes, last = _members(_parsed(text)) or ((None, None),)
    data = _members(last[1])
    if last[0] != "data" or not data or not all(isinstance(value, str) for _, value in attributes):
        return None
    names = tuple(key for key, _ in attributes)
    members = [(name, f'"{_CHARACTERS}"') for name in names]
    return _Shape(f"^{_shape([*members, ('data', _flat(data))])}$", names)
