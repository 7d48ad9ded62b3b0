"""The shell of ``valueverse sql``: statements ended by ``;`` and the dot commands of DuckDB's own command line."""

from __future__ import annotations

import difflib
import os
import shlex
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

import duckdb
import typer

if TYPE_CHECKING:
    from collections.abc import Callable

_HELP = """\
.bail on|off       Stop after an error; off at first
.exit              End the shell, as Ctrl-D does (also .quit)
.help              This list
.maxrows COUNT     Rows of a result that are shown (duckbox)
.maxwidth COUNT    Characters of a line; 0 takes the terminal's width (duckbox)
.mode MODE         How results are written: duckbox, csv, json, jsonlines, line, markdown
.output ?FILE?     Write results to FILE; without FILE to standard output again
.read FILE         Run the statements of FILE
.schema ?PATTERN?  Columns and types of the tables whose names are LIKE PATTERN
.tables ?PATTERN?  The tables, or those whose names are LIKE PATTERN
.timer on|off      Time that each statement took
.version           Version of DuckDB
A statement ends with ; and may have several lines. Ctrl-C forgets what was typed."""
_ENDS = (".exit", ".quit")
MODES = ("duckbox", "csv", "json", "jsonlines", "line", "markdown")


class Shell:
    """One session on a connection; results go to standard output, errors to standard error.

    Args:
        connection: with the lake's tables.
        mode: how results are written, one of ``MODES``.
        max_rows: rows of a result that duckbox shows.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, *, mode: str = "duckbox", max_rows: int = 1_000) -> None:
        self._connection = connection
        self._mode = mode
        self._max_rows = max_rows
        self._max_width = 0
        self._bail = self._timer = False
        self._output: TextIO | None = None
        self._commands: dict[str, Callable[[list[str]], None]] = {
            ".bail": lambda given: setattr(self, "_bail", _on(given)),
            ".help": lambda _: typer.echo(_HELP, file=self._out),
            ".maxrows": lambda given: setattr(self, "_max_rows", _count(given)),
            ".maxwidth": lambda given: setattr(self, "_max_width", _count(given)),
            ".mode": self._set_mode,
            ".output": self._set_output,
            ".read": self._read,
            ".schema": self._schema,
            ".tables": lambda given: typer.echo("  ".join(self.tables(*given[:1])), file=self._out),
            ".timer": lambda given: setattr(self, "_timer", _on(given)),
            ".version": lambda _: typer.echo(f"DuckDB v{duckdb.__version__}", file=self._out),
        }
        self.failed = False
        """Whether a statement or a command failed."""

    def run(self, read: Callable[[str], str]) -> None:
        """Run what ``read`` gives for a prompt, line by line, until it raises EOFError.

        An error ends the session only after ``.bail on``; a KeyboardInterrupt forgets the statement that was begun.
        """
        begun = ""
        while not (self.failed and self._bail):
            try:
                line = read("  ... " if begun else "lake> ")
            except KeyboardInterrupt:
                begun = ""
                typer.echo()
                continue
            except EOFError:
                break
            if not begun and line.startswith("."):
                if line.split()[0] in _ENDS:
                    return
                self._answer(line)
                continue
            begun = f"{begun}{line}\n".lstrip()
            if ends_a_statement(begun):
                statement, begun = begun, ""
                self._answer(statement)
        if begun:
            self._answer(begun)

    def execute(self, text: str) -> None:
        """Run statements, or one dot command, and write the results.

        Raises:
            duckdb.Error: of the first statement that fails; those before it have run.
            ValueError, OSError: of a dot command.
        """
        if text.startswith("."):
            self._command(text)
            return
        for statement in self._connection.extract_statements(text):
            begin = time.perf_counter()
            # Its type promises a relation; a statement without rows (create, set) gives None.
            relation = cast("duckdb.DuckDBPyRelation | None", self._connection.sql(_without_end(statement.query)))
            if relation is not None:
                self._write(relation)
            if self._timer:
                typer.echo(f"Run Time (s): real {time.perf_counter() - begin:.3f}", file=self._out)

    def tables(self, like: str = "%") -> list[str]:
        """Names of the tables that are LIKE a pattern, sorted."""
        query = "select table_name from information_schema.tables where table_name like ? order by 1"
        return [str(name) for (name,) in self._connection.execute(query, [like]).fetchall()]

    def completions(self, text: str) -> list[str]:
        """What a begun word may become: a dot command, a table or a column."""
        query = (
            "select table_name from information_schema.tables"
            " union select column_name from information_schema.columns order by 1"
        )
        names = [str(name) for (name,) in self._connection.execute(query).fetchall()]
        return [name for name in [*self._commands, *_ENDS, *names] if name.startswith(text)]

    @property
    def _out(self) -> TextIO:
        return self._output or sys.stdout

    def _answer(self, text: str) -> None:
        try:
            self.execute(text)
        except (duckdb.Error, ValueError, OSError) as error:
            self.failed = True
            typer.secho(str(error).rstrip(), fg="red", err=True)
        except KeyboardInterrupt:
            self.failed = True
            typer.secho("interrupted", fg="red", err=True)

    def _command(self, line: str) -> None:
        name, *given = shlex.split(line)
        command = self._commands.get(name)
        if command is None:
            near = difflib.get_close_matches(name, self._commands, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(f"unknown command {name}: {hint}.help lists them")
        command(given)

    def _write(self, relation: duckdb.DuckDBPyRelation) -> None:
        {
            "duckbox": self._write_box,
            "csv": self._write_csv,
            "json": self._write_json,
            "jsonlines": self._write_json,
            "line": self._write_lines,
            "markdown": self._write_markdown,
        }[self._mode](relation)

    def _write_box(self, relation: duckdb.DuckDBPyRelation) -> None:
        width = self._max_width or (shutil.get_terminal_size((200, 40)).columns if self._out.isatty() else 10_000)
        before, sys.stdout = sys.stdout, self._out
        try:
            relation.show(max_rows=self._max_rows, max_width=width)
        finally:
            sys.stdout = before

    def _write_csv(self, relation: duckdb.DuckDBPyRelation) -> None:
        # DuckDB's writer writes an empty text and no value apart. A file that it opened would lose what is in it.
        read_end, write_end = os.pipe()

        def fill() -> None:
            try:
                relation.write_csv(f"/dev/fd/{write_end}")
            finally:
                os.close(write_end)

        with ThreadPoolExecutor(1) as pool, os.fdopen(read_end, encoding="utf-8", newline="") as lines:
            done = pool.submit(fill)
            shutil.copyfileobj(lines, self._out)
            done.result()

    def _write_json(self, relation: duckdb.DuckDBPyRelation) -> None:
        rows = [str(row) for (row,) in _queried(relation, "select to_json(result) from result")]
        typer.echo("\n".join(rows) if self._mode == "jsonlines" else "[" + ",\n".join(rows) + "]", file=self._out)

    def _write_lines(self, relation: duckdb.DuckDBPyRelation) -> None:
        width = max(map(len, relation.columns))
        for row in _texts(relation):
            cells = [f"{name:>{width}} = {value}" for name, value in zip(relation.columns, row, strict=True)]
            typer.echo("\n".join(cells) + "\n", file=self._out)

    def _write_markdown(self, relation: duckdb.DuckDBPyRelation) -> None:
        for row in [relation.columns, ["---"] * len(relation.columns), *_texts(relation)]:
            typer.echo("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |", file=self._out)

    def _set_mode(self, given: list[str]) -> None:
        if not given:
            typer.echo(f"current output mode: {self._mode}", file=self._out)
        elif given[0] not in MODES:
            raise ValueError(f".mode takes one of: {', '.join(MODES)}")
        else:
            self._mode = given[0]

    def _set_output(self, given: list[str]) -> None:
        if self._output is not None:
            self._output.close()
        self._output = Path(given[0]).open("w", encoding="utf-8") if given else None  # noqa: SIM115 - until the next one

    def _read(self, given: list[str]) -> None:
        if not given:
            raise ValueError(".read takes the name of a file")
        lines = iter(Path(given[0]).read_text(encoding="utf-8").splitlines())

        def read(_: str) -> str:
            line = next(lines, None)
            if line is None:
                raise EOFError
            return line

        self.run(read)

    def _schema(self, given: list[str]) -> None:
        query = (
            "select column_name, data_type from information_schema.columns"
            " where table_name = ? order by ordinal_position"
        )
        for table in self.tables(*given[:1]):
            columns = self._connection.execute(query, [table]).fetchall()
            shown = ",\n".join(f"  {name} {kind}" for name, kind in columns)
            typer.echo(f"{table} (\n{shown}\n);", file=self._out)


def interact(shell: Shell, history: Path) -> None:
    """Read from a terminal, with editing, completion by Tab, and a history in a file."""
    import readline

    with suppress(OSError):  # none yet, or another program's format
        readline.read_history_file(history)
    readline.set_history_length(2_000)
    readline.set_completer_delims(" \t\n,()=;'")
    readline.parse_and_bind("tab: complete")
    readline.set_completer(lambda text, at: next(iter(shell.completions(text)[at:]), None))
    tables = ", ".join(shell.tables())
    typer.echo(f"DuckDB on the lake: {tables}. End a statement with ; and the shell with Ctrl-D; .help lists commands.")
    try:
        shell.run(input)
    finally:
        readline.set_completer(None)
        with suppress(OSError):
            history.parent.mkdir(parents=True, exist_ok=True)
            readline.write_history_file(history)
            history.chmod(0o600)


def ends_a_statement(text: str) -> bool:
    """Whether the last token is a semicolon: not one in a text, an identifier or a comment."""
    return _last_token(text)[:1] == b";"


def _last_token(text: str) -> bytes:
    """What stands from the last token on that is no comment."""
    places = [at for at, kind in duckdb.tokenize(text) if kind != duckdb.token_type.comment]
    return text.encode()[places[-1] :] if places else b""


def _without_end(statement: str) -> str:
    """A statement without its semicolon and what follows: a relation becomes a query within another."""
    end = _last_token(statement)
    return statement.encode().removesuffix(end).decode() if end[:1] == b";" else statement


def _texts(relation: duckdb.DuckDBPyRelation) -> list[list[str]]:
    """Rows of texts as DuckDB writes values, every digit."""
    rows = _queried(relation, "select columns(*)::varchar from result")
    return [["NULL" if cell is None else cell for cell in row] for row in rows]


def _queried(relation: duckdb.DuckDBPyRelation, query: str) -> list[tuple[str | None, ...]]:
    """Rows of a query on a relation that it calls ``result``."""
    return cast("duckdb.DuckDBPyRelation", relation.query("result", query)).fetchall()


def _on(given: list[str]) -> bool:
    if given[:1] not in (["on"], ["off"]):
        raise ValueError("give on or off")
    return given[0] == "on"


def _count(given: list[str]) -> int:
    if not given or not given[0].isdecimal():
        raise ValueError("give a number of 0 or more")
    return int(given[0])
