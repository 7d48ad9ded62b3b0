"""The one way in which commands answer: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
import unicodedata
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]


def console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Where text for people goes; colours only at a terminal, and none with NO_COLOR."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=soft_wrap)


def for_people(*, as_json: bool) -> bool:
    """Whether standard output takes text for people: it is a terminal, and nobody asked for JSON."""
    return not as_json and sys.stdout.isatty()


def show_json(value: Any) -> None:
    """One JSON document in a line; instants, dates and amounts as text."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False, default=str) + "\n")


def show_json_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object per line."""
    for row in rows:
        show_json(row)


def write_text(path: Path, text: str) -> None:
    """Write a file that was asked for with ``--out``.

    Raises:
        RefusalError: ``cannot_write``.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RefusalError("cannot_write", f"{path}: {error.strerror}", "--out") from error


def sentence(text: str, style: str = "") -> Text:
    """Text with names of a tenant in it, in one style: no markup, and no control characters."""
    from rich.text import Text

    return Text(_one_line(text), style=style)


def number(text: str | None) -> str | None:
    """A number given as text, with separators between thousands."""
    return None if text is None else f"{Decimal(text):,f}"


def table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[str] = (), header: bool = True
) -> Table:
    """Rows below their column names; a cell that is a ``rich`` text keeps its style, None is ``-``.

    Args:
        columns: names, in order.
        rows: cells in the order of the columns.
        right: columns of numbers and amounts.
        header: whether the names are shown.
    """
    from rich.table import Table

    made = Table(*columns, show_header=header, header_style="dim", box=None, pad_edge=False)
    for column, name in zip(made.columns, columns, strict=True):
        column.justify = "right" if name in right else "left"
        column.overflow = "fold"
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
    return made


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[str] = (), stderr: bool = False
) -> None:
    """Print ``table``; ``stderr``: not part of what a pipe takes."""
    console(stderr=stderr).print(table(columns, rows, right=right))


def show_list(
    columns: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    *,
    as_json: bool,
    right: Sequence[str] = (),
    empty: str = "nothing to show",
) -> None:
    """Things of one kind: a table of some of their fields, or every field as one JSON object per line."""
    if as_json:
        show_json_lines(rows)
    elif rows:
        show_table(columns, [[row[name.replace(" ", "_")] for name in columns] for row in rows], right=right)
    else:
        console().print(empty)


def _cell(value: Any) -> Any:
    from datetime import date, datetime

    from rich.text import Text

    if isinstance(value, Text):
        return value
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}" if value.time() == value.time().min else f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    return sentence(str(value))


def _one_line(text: str) -> str:
    """What a tenant calls itself makes no rows or columns of others: control characters are written out."""
    return "".join(_visible(one) for one in text)


def _visible(one: str) -> str:
    if one.isprintable():
        return one
    return " " if unicodedata.category(one) == "Zs" else one.encode("unicode_escape").decode()
