"""Paths into an event's ``data``, and the JSON text they point at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import polars as pl

from valueverse.errors import RefusalError
from valueverse.formula.nodes import MAX_PARTS
from valueverse.formula.parser import split_path

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_PATH = 256
_PATH = re.compile(r"(?:`[^`'\"\\]+`|[^\s.`'\"\\\[\](){}$*]+)(?:\.(?:`[^`'\"\\]+`|[^\s.`'\"\\\[\](){}$*]+))*\Z")


def parse_path(text: str) -> tuple[str, ...]:
    """The parts of a path such as ``usage.tokens`` or ``labels.`cost centre` ``.

    Raises:
        RefusalError: ``bad_path``.
    """
    if len(text) > MAX_PATH or not text.isprintable() or not _PATH.match(text):
        shown = text if len(text) <= 60 else f"{text[:57]}..."
        raise RefusalError(
            "bad_path",
            f"{shown!r} is not a path into data: names joined by dots, odd ones in backticks, "
            f"at most {MAX_PATH} characters",
        )
    parts = split_path(text)
    if len(parts) > MAX_PARTS:
        raise RefusalError("bad_path", f"a path of {len(parts)} parts is too deep: at most {MAX_PARTS}")
    return parts


def path_column(parts: tuple[str, ...]) -> str:
    """The JSONPath of a path, which is also the name of the column that holds its values."""
    return "$" + "".join(f"['{part}']" for part in parts)


def at_path(parts: tuple[str, ...]) -> pl.Expr:
    """The column made by ``extract``."""
    return pl.col(path_column(parts))


def extract(data: str, paths: Iterable[tuple[str, ...]]) -> list[pl.Expr]:
    """One column per distinct path: its value in a column of JSON text.

    A text comes bare, the rest as JSON writes it; missing and null are null. Formulas read these columns
    instead of the JSON itself, because a formula may name a path many times and reading JSON is what costs.
    """
    columns = dict.fromkeys(map(path_column, paths))
    return [pl.col(data).str.json_path_match(column).alias(column) for column in columns]
