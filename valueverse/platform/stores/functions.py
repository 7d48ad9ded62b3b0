"""Functions of the database that the builder calls in the schema ``billing``, and the API's login in ``api``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, LiteralString

from psycopg import sql

from valueverse.platform.queries import rows_of

if TYPE_CHECKING:
    import psycopg


@dataclass(frozen=True)
class Functions:
    """A connection, and where its login finds the functions.

    Attributes:
        connection: of the builder, or of the API's login.
        schema: whose functions it may call: ``billing``, or ``api``.
    """

    connection: psycopg.Connection[Any]
    schema: Literal["billing", "api"] = "billing"

    def query(self, function: LiteralString, arguments: int) -> sql.Composed:
        """The statement that calls a function with so many arguments, the tenant first."""
        places = sql.SQL(", ").join([sql.Placeholder()] * arguments)
        return sql.SQL("select * from {}({})").format(sql.Identifier(self.schema, function), places)


def call(connection: psycopg.Connection[Any], function: LiteralString, *arguments: object) -> list[dict[str, Any]]:
    """Rows of a function of schema ``api``, the tenant first; the connection is the API's login, the caller commits."""
    return rows_of(connection, Functions(connection, "api").query(function, len(arguments)), list(arguments))
