"""A tenant's rows by functions: the builder calls those of schema ``value``, the API's login those of ``api``."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import polars as pl
from psycopg import sql

from valueverse.platform.queries import rows_of
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import psycopg

    from valueverse.platform.settings import Settings


class Call(Protocol):
    """Rows of a function, by the names of their columns; the arguments are bound."""

    def __call__(self, function: str, /, *arguments: object) -> Sequence[Mapping[str, Any]]:
        """What the function gives."""


@dataclass(frozen=True)
class TenantRecords:
    """What a service reads and writes of one tenant, in a transaction that the caller ends.

    Attributes:
        settings: where the lake is.
        tenant: whose rows.
        call: asks the functions.
        actor: the API key that a change comes with; None: a command or a step of the pipeline.
        request: id of the request that it comes with; the audit log keeps both.
    """

    settings: Settings
    tenant: str
    call: Call
    actor: str | None = None
    request: str = ""

    def rows(self, function: str, *arguments: object) -> list[dict[str, Any]]:
        """Rows of a function whose first argument is the tenant."""
        return [dict(row) for row in self.call(function, self.tenant, *arguments)]

    def frame(self, function: str, schema: pl.Schema, *arguments: object) -> pl.DataFrame:
        """As ``rows``, in the columns of ``schema``, by name."""
        return pl.DataFrame(self.rows(function, *arguments), schema)

    def value(self, function: str, *arguments: object) -> Any:
        """What a function gives that gives one value."""
        (row,) = self.rows(function, *arguments)
        return row[function]


def records_of(settings: Settings, connection: psycopg.Connection[Any], tenant: str) -> TenantRecords:
    """The tenant's rows over a connection of the builder."""

    def call(function: str, /, *arguments: object) -> list[dict[str, Any]]:
        places = sql.SQL(", ").join([sql.Placeholder()] * len(arguments))
        query = sql.SQL("select * from {}({})").format(sql.Identifier("value", function), places)
        return rows_of(connection, query, arguments)

    return TenantRecords(settings, tenant, call)


@contextmanager
def tenant_records(settings: Settings, tenant: str) -> Iterator[TenantRecords]:
    """The tenant's rows as the builder, in one transaction: what was written stays if no error ends it.

    Raises:
        RefusalError: ``warehouse_unreachable``.
    """
    with connect(settings, "builder") as connection:
        yield records_of(settings, connection, tenant)
