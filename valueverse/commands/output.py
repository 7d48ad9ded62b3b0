"""The one way in which commands answer: tables for people, JSON for programs."""

from __future__ import annotations

import os
import sys
import unicodedata
import warnings
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.errors import RefusalError
from valueverse.services.answer_text import answer_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from rich.console import Console
    from rich.text import Text

    from valueverse.commands.fitting_table import FittingTable

_UNWRAPPED = 100_000
"""Characters of a line outside of a terminal."""
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
FileAsJson = Annotated[bool, typer.Option("--json", help="With --out: answer in JSON which file was written.")]
AlwaysJson = Annotated[bool, typer.Option("--json", help="Answers are JSON with and without it.")]


def console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """Where text for people goes; colours only at a terminal, and none with NO_COLOR.

    In a pipe or file a line is as long as it is: whoever reads it there wraps it, or looks for words in it.
    """
    from rich.console import Console

    at_terminal = (sys.stderr if stderr else sys.stdout).isatty() or "COLUMNS" in os.environ
    return Console(stderr=stderr, highlight=False, soft_wrap=soft_wrap, width=None if at_terminal else _UNWRAPPED)


def for_people(*, as_json: bool) -> bool:
    """Whether standard output takes text for people: it is a terminal, and nobody asked for JSON."""
    return not as_json and sys.stdout.isatty()


def show_json(value: Any) -> None:
    """One JSON document in a line; instants, dates and amounts as text."""
    sys.stdout.write(answer_text(value) + "\n")


def show_answer(answer: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """What a command did: a sentence at a terminal, else all of it as one JSON document."""
    if for_people(as_json=as_json):
        console().print(sentence(text))
    else:
        show_json(answer)


def show_json_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object per line."""
    for row in rows:
        show_json(row)


def write_text(path: Path, text: str) -> None:
    """Write a file that was asked for with ``--out``.

    Raises:
        RefusalError: ``cannot_write``.
    """
    write_bytes(path, text.encode())


def write_bytes(path: Path, body: bytes) -> None:
    """As ``write_text``, for what is no text.

    Raises:
        RefusalError: ``cannot_write``.
    """
    try:
        path.write_bytes(body)
    except OSError as error:
        raise RefusalError("cannot_write", f"{path}: {error.strerror}", "--out") from error


def wrote(path: Path, *, as_json: bool = False) -> None:
    """Say which file was written: on standard error, so that a pipe stays clean; or in JSON."""
    if as_json:
        show_json({"file": str(path), "bytes": path.stat().st_size})
    else:
        console(stderr=True, soft_wrap=True).print(sentence(f"wrote {path}"))


def check_file_answer(out: Path | None, *, as_json: bool) -> None:
    """Refuse ``--json`` where standard output takes the file itself.

    Raises:
        RefusalError: ``bad_option``.
    """
    if as_json and out is None:
        raise RefusalError("bad_option", "--json says which file was written: give --out FILE too", "--json")


@contextmanager
def warnings_shown() -> Iterator[None]:
    """Say on standard error what the work inside warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for one in caught:
        console(stderr=True, soft_wrap=True).print(sentence(f"warning: {one.message}", "yellow"))


def sentence(text: str, style: str = "") -> Text:
    """Text with names of a tenant in it, in one style: no markup, and no control characters."""
    from rich.text import Text

    return Text(_one_line(text), style=style)


def money(amount: str, currency: str) -> str:
    """An amount given as text in major units, with separators between thousands and its currency."""
    return f"{number(amount)} {currency}"


def number(text: str | None) -> str | None:
    """A number given as text, with separators between thousands."""
    return None if text is None else f"{Decimal(text):,f}"


def numbers(texts: Sequence[str | None]) -> list[str | None]:
    """Numbers of one column, given as text: with separators between thousands, all with the same decimals."""
    written = [f"{Decimal(text):f}" for text in texts if text is not None]
    places = max((len(one.partition(".")[2].rstrip("0")) for one in written), default=0)
    return [None if text is None else f"{Decimal(text):,.{places}f}" for text in texts]


def table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[str] = (), header: bool = True
) -> FittingTable:
    """Rows below their column names; a cell that is a ``rich`` text keeps its style, None is ``-``.

    Args:
        columns: names, in order.
        rows: cells in the order of the columns.
        right: columns of numbers and amounts.
        header: whether the names are shown.
    """
    from valueverse.commands.fitting_table import FittingTable

    return FittingTable(columns, [[_cell(value) for value in row] for row in rows], right, header=header)


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


def _cell(value: Any) -> Text:
    from datetime import date, datetime

    from rich.text import Text

    if isinstance(value, Text):
        return value
    if isinstance(value, datetime):
        return Text(f"{value:%Y-%m-%d}" if value.time() == value.time().min else f"{value:%Y-%m-%d %H:%M}")
    if isinstance(value, date):
        return Text(value.isoformat())
    return sentence("-" if value is None else str(value))


def _one_line(text: str) -> str:
    """What a tenant calls itself makes no rows or columns of others: control characters are written out."""
    return "".join(_visible(one) for one in text)


def _visible(one: str) -> str:
    if one.isprintable():
        return one
    return " " if unicodedata.category(one) == "Zs" else one.encode("unicode_escape").decode()
