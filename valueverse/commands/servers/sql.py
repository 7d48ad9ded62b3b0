"""``valueverse sql``: DuckDB on the lake's tables, or psql on the marts."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    import duckdb
    from deltalake import DeltaTable

    from valueverse.platform.settings import Settings

TABLES = ("events", "quarantine", "usage", "billing_facts", "value_facts")


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("sql", help=_HELP)(_sql)


_HELP = """A DuckDB shell on the lake (events, usage, quarantine, billing_facts), or psql on the marts.

Statements end with ; and .help lists the commands of the shell. With --marts --as ADA the marts as that
analyst sees them.

[dim]valueverse sql -c "select type, count(*) from events group by all"[/dim]"""


def _sql(
    command: Annotated[
        str | None,
        typer.Option("--command", "-c", help="Run statements, or one command such as .tables, and exit."),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="With -c: print CSV, every digit, for other programs.")] = False,
    marts: Annotated[bool, typer.Option("--marts", help="psql on the warehouse, its marts first.")] = False,
    analyst: Annotated[str | None, typer.Option("--as", help="With --marts: log in as this analyst.")] = None,
) -> None:
    from valueverse.platform.settings import get_settings

    settings = get_settings()
    if analyst is not None and not marts:
        raise RefusalError("bad_option", "--as chooses who reads the marts: give --marts too", "--as")
    if marts:
        _psql(settings, analyst, command, csv)
    _lake(settings, command, csv)


def _lake(settings: Settings, command: str | None, csv: bool) -> None:
    import duckdb

    from valueverse.commands.servers import lake_shell

    at_terminal = command is None and sys.stdin.isatty()
    # Left open, the threads that read the tables may end the process with an abort.
    with _open_lake(settings) as connection:
        # Somebody who types sees as many rows as in DuckDB's own shell.
        shell = lake_shell.Shell(connection, mode="csv" if csv else "duckbox", max_rows=40 if at_terminal else 1_000)
        if command is not None:
            try:
                shell.execute(command)
            except (duckdb.Error, ValueError, OSError) as error:
                raise RefusalError("bad_query", " ".join(str(error).split()), "--command") from error
        elif at_terminal:
            lake_shell.interact(shell, settings.home / "sql_history")
        else:
            shell.run(lambda _: input())
    if shell.failed and not at_terminal:
        raise typer.Exit(1)


def _open_lake(settings: Settings) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with one read-only view per Delta table that exists, at its latest version."""
    import duckdb
    from deltalake import DeltaTable

    connection = duckdb.connect()
    connection.execute("set timezone = 'UTC'")
    found = False
    for name in TABLES:
        address = f"{settings.lake_url}/{name}"
        if DeltaTable.is_deltatable(address):
            _register(connection, name, DeltaTable(address))
            found = True
    if not found:
        raise RefusalError(
            "empty_lake",
            f"no table in {settings.lake_url} yet: run `valueverse demo` or materialise `events`",
            settings.lake_url,
        )
    return connection


def _register(connection: duckdb.DuckDBPyConnection, name: str, table: DeltaTable) -> None:
    """Make the files of a table's version a view of DuckDB's own reader.

    A scan of Arrow's that a ``limit`` ends early goes on in threads of its own, and brings the process down when it
    ends: it reads only what DuckDB cannot, an empty table and, without an extension, an object store.
    """
    files = table.file_uris()
    if not files or any("://" in file for file in files):
        connection.register(name, table.to_pyarrow_dataset())
        return
    # Column by column: files that were written before a column was added have none.
    connection.read_parquet(files, hive_partitioning=True, union_by_name=True).create_view(name)


def _psql(settings: Settings, analyst: str | None, command: str | None, csv: bool) -> None:
    from psycopg.conninfo import conninfo_to_dict

    from valueverse.platform.access import analysts
    from valueverse.platform.servers import postgres_server

    found = conninfo_to_dict(settings.postgres_url("admin"))
    environment = {**os.environ, "PGOPTIONS": "-c default_transaction_read_only=on -c search_path=marts"}
    if analyst is not None:
        found["user"] = analysts.role_name(analyst)
        found.pop("password", None)
    elif "password" in found:
        environment["PGPASSWORD"] = str(found["password"])
    names = {
        "host": "PGHOST",
        "port": "PGPORT",
        "dbname": "PGDATABASE",
        "user": "PGUSER",
        "sslmode": "PGSSLMODE",
    }
    environment |= {names[key]: str(value) for key, value in found.items() if key in names}
    arguments = ["psql", "--no-psqlrc", *(["--csv"] if csv else []), *(["-c", command] if command else [])]
    sys.stdout.flush()
    # The password travels in the environment, which other users cannot read as they can a command line.
    os.execve(postgres_server.binary("psql"), arguments, environment)  # noqa: S606 - replaces us: the shell is the user's own
