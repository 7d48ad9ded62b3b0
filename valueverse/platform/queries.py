"""Rows of Postgres, bound by the names of their columns: as a frame, as mappings, or as the values of one column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from psycopg.rows import dict_row, scalar_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import psycopg
    from psycopg import sql

    Query = str | sql.SQL | sql.Composed
    Values = Mapping[str, Any] | Sequence[Any]


def frame_of(connection: psycopg.Connection[Any], query: Query, values: Values, schema: pl.Schema) -> pl.DataFrame:
    """Rows of a query in the columns of ``schema``, by name.

    Raises:
        KeyError: for a column of the query that ``schema`` has not.
        pl.exceptions.ColumnNotFoundError: for one that the query does not give.
    """
    cursor = connection.execute(query, values)
    given = {column.name: schema[column.name] for column in cursor.description or ()}
    return pl.DataFrame(cursor.fetchall(), schema=given, orient="row").select(schema.names())


def texts_of(connection: psycopg.Connection[Any], query: Query, values: Values | None = None) -> pl.DataFrame:
    """Rows of a query all of whose columns are text, by their names."""
    cursor = connection.execute(query, values)
    names = dict.fromkeys((column.name for column in cursor.description or ()), pl.String())
    return pl.DataFrame(cursor.fetchall(), schema=names, orient="row")


def rows_of(connection: psycopg.Connection[Any], query: Query, values: Values | None = None) -> list[dict[str, Any]]:
    """Rows of a query, each by the names of its columns."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchall()


def row_of(connection: psycopg.Connection[Any], query: Query, values: Values | None = None) -> dict[str, Any] | None:
    """The first row of a query by the names of its columns; None: there is none."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query, values).fetchone()


def values_of(connection: psycopg.Connection[Any], query: Query, values: Values | None = None) -> list[Any]:
    """The values of a query's one column."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query, values).fetchall()


def value_of(connection: psycopg.Connection[Any], query: Query, values: Values | None = None) -> Any:
    """The first value of a query's one column; None where it gives no row."""
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query, values).fetchone()
