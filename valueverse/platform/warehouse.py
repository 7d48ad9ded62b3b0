"""The warehouse: connections by role, bulk loads by COPY, databases, roles and migrations."""

from __future__ import annotations

import io
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import psycopg
from psycopg import sql

from valueverse.errors import RefusalError
from valueverse.platform.access import roles
from valueverse.platform.queries import value_of
from valueverse.platform.telemetry import tracing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from valueverse.platform.settings import Role, Settings

_SCRIPTS = str(Path(__file__).parent / "migrations").replace("%", "%%")

_MANY = 1_000
"""Rows written at once after which the planner's statistics are collected again."""


def connect(
    settings: Settings, role: Role, *, database: str | None = None, autocommit: bool = False
) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect as ``role``; the session's time zone is UTC.

    Raises:
        RefusalError: ``warehouse_unreachable``, with the message of the server or the network.
    """
    url = settings.postgres_url(role, database)
    try:
        connection = psycopg.connect(
            url,
            autocommit=autocommit,
            connect_timeout=10,
            application_name="valueverse",
            cursor_factory=_cursor_factory(),
        )
        connection.execute("set timezone to 'UTC'")
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        cure = "check VALUEVERSE_POSTGRES_URL" if settings.external_postgres_url else "start it with `valueverse up`"
        raise RefusalError("warehouse_unreachable", f"Postgres does not answer: {reason}; {cure}") from error
    if not autocommit:
        connection.commit()
    return connection


def _cursor_factory() -> type[psycopg.Cursor[Any]]:
    if not tracing.is_on():
        return psycopg.Cursor
    from valueverse.platform.telemetry.traced_cursor import TracedCursor

    return TracedCursor


def copy_frame(connection: psycopg.Connection[Any], table: str, frame: pl.DataFrame) -> int:
    """Append ``frame`` to ``table`` (``schema.name``) by COPY and return the rows written; columns match by
    name.

    Decimals travel as their decimal text, so nothing is rounded; null and the empty string stay apart. Lists
    and structs are written as JSON text, for ``jsonb`` columns. The caller commits.

    Raises:
        RefusalError: ``binary_float`` for a Float column: no amount, price or quantity is ever one.
        psycopg.Error: whatever constraint the rows break.
    """
    for name, dtype in frame.schema.items():
        if dtype.is_float():
            raise RefusalError("binary_float", f"column {name} of {table} is {dtype}: load exact decimals", name)
    nested = [name for name, dtype in frame.schema.items() if isinstance(dtype, (pl.List, pl.Array, pl.Struct))]
    if nested:
        frame = frame.with_columns(_json_text(frame[name]) for name in nested)
    text = io.BytesIO()
    frame.write_csv(text, include_header=False, null_value=r"\N", quote_style="non_numeric")
    statement = sql.SQL(r"copy {} ({}) from stdin (format csv, null '\N')").format(
        sql.Identifier(*table.split(".")), sql.SQL(", ").join(map(sql.Identifier, frame.columns))
    )
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            copy.write(text.getbuffer())
        return cursor.rowcount


def copy_frames(connection: psycopg.Connection[Any], tables: Mapping[str, pl.DataFrame]) -> None:
    """Append to each table its frame, in their order, and gather the planner's statistics of those that get many rows.

    Autovacuum sees no uncommitted row and comes a minute later at best; until then a join of two large tables would be
    planned as if both were nearly empty.
    """
    for table, frame in tables.items():
        if not frame.is_empty():
            copy_frame(connection, table, frame)
    if many := [sql.Identifier(*table.split(".")) for table, frame in tables.items() if frame.height >= _MANY]:
        connection.execute(sql.SQL("analyze {}").format(sql.SQL(", ").join(many)))


def _json_text(column: pl.Series) -> pl.Series:
    wrapped = column.to_frame("value").select(pl.struct("value").struct.json_encode())
    inner = wrapped.to_series().str.replace(r'(?s)^\{"value":(.*)\}$', "${1}")
    return inner.set(column.is_null(), None).alias(column.name)


def upgrade(settings: Settings, revision: str = "head") -> None:
    """Create what is missing of roles and databases, then migrate the warehouse to ``revision``.
    Idempotent."""
    ensure_roles(settings)
    for name in (settings.database_name, settings.dagster_database):
        create_database(settings, name)
    _alembic(settings, "upgrade", revision)


def downgrade(settings: Settings, revision: str) -> None:
    """Take migrations back to ``revision`` (``base``: all of them). Their data is gone."""
    _alembic(settings, "downgrade", revision)


def revision(settings: Settings) -> str | None:
    """The current migration of the warehouse; None before the first."""
    with connect(settings, "admin") as connection:
        if not value_of(connection, "select to_regclass('public.alembic_version') is not null"):
            return None
        found: str | None = value_of(connection, "select version_num from public.alembic_version")
        return found


def latest_revision() -> str:
    """The newest migration there is."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    return str(ScriptDirectory.from_config(config).get_current_head())


def ensure_roles(settings: Settings) -> None:
    """Create the roles and give the logins this installation's passwords; what exists is brought to the same
    state."""
    with connect(settings, "admin", database="postgres", autocommit=True) as connection:
        roles.ensure(connection, settings)


def create_database(settings: Settings, name: str, template: str | None = None) -> None:
    """Create a database if it is missing; only our own roles may connect to it."""
    with connect(settings, "admin", database="postgres", autocommit=True) as connection:
        roles.create_database(connection, name, template, for_dagster=name == settings.dagster_database)


def drop_database(settings: Settings, name: str) -> None:
    """Drop a database, ending its sessions."""
    with connect(settings, "admin", database="postgres", autocommit=True) as connection:
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


@contextmanager
def _migration_config(settings: Settings) -> Iterator[Any]:
    from alembic.config import Config
    from sqlalchemy import create_engine
    from sqlalchemy.pool import NullPool

    engine = create_engine("postgresql+psycopg://", creator=lambda: connect(settings, "admin"), poolclass=NullPool)
    with engine.connect() as found:
        config = Config()
        config.set_main_option("script_location", _SCRIPTS)
        config.attributes["connection"] = found
        yield config
        found.commit()
    engine.dispose()


def _alembic(settings: Settings, verb: str, target: str) -> None:
    from alembic import command

    with _migration_config(settings) as config:
        getattr(command, verb)(config, target)
