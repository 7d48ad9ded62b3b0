"""Postgres as the API's login, which may call the functions of schema ``api`` and nothing else."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncpg

from serving_api.problems import Problem
from serving_api.questions import Together
from serving_api.security.rls_preflight import rls_violations
from valueverse.errors import RefusalError
from valueverse.platform.telemetry import tracing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import structlog

    from valueverse.platform.settings import Settings

_CONNECTION_LOST = (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError,
asyncpg.CannotConnectNowError,
                    asyncpg.TooManyConnectionsError, asyncpg.AdminShutdownError, TimeoutError)  # fmt: skip

_TOGETHER = {
    "invoice": """
        select asked.place, found.document, found.voided
          from unnest($1::text[], $2::text[]) with ordinality as asked (tenant, number, place)
         cross join lateral api.invoice(asked.tenant, asked.number) as found""",
    "portal_invoice": """
        select asked.place, found.document, found.voided
          from unnest($1::text[], $2::text[], $3::text[]) with ordinality as asked (tenant, customer, number, place)
         cross join lateral api.portal_invoice(asked.tenant, asked.customer, asked.number) as found""",
}
"""Reads of many requests at once, by function: each has its own tenant, and in a portal its own customer."""

_OPTIONS: dict[str, Any] = {
    "timeout": 5,
    "command_timeout": 10,
    "server_settings": {
        "application_name": "valueverse-api",
        "timezone": "UTC",
        "statement_timeout": "8000",
        "jit": "off",
    },
}


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
    def get_reset_query(self) -> str:
        """Nothing to undo, and a round trip saved: what the functions set ends with their statement."""
        return ""


class Database:
    """A pool that is made at first use, and only after the row-level security check passed."""

    def __init__(self, settings: Settings, log: structlog.typing.FilteringBoundLogger, size: int = 6) -> None:
        self._settings = settings
        self._log = log
        self._size = size
        self._pool: Any = None
        self._making = asyncio.Lock()
        self._invoices = Together(partial(self._found_invoices, "invoice"))
        self._portal_invoices = Together(partial(self._found_invoices, "portal_invoice"))

    async def call(self, function: str, *arguments: object) -> list[Any]:
        """Rows of ``api.<function>(arguments)``; ``function`` is a name of ours, the arguments are bound.

        An argument that is callable is asked for its value once a connection is at hand, so that a duration
        includes the
        wait for it.

        Raises:
            Problem: ``unavailable`` when Postgres cannot be reached.
            RefusalError: ``unsafe_database`` when the API's login could read another tenant's rows.
        """
        async with self._connected() as connection:
            return await _rows(connection, function, arguments)

    async def read(self, owner: tuple[str, ...], function: str, *arguments: object) -> list[Any]:
        """Rows of ``function`` for an identity's ``owner``: a customer in its tenant's portal has functions of its own,
        ``portal_<function>``, which take tenant and customer and filter by both.

        Raises:
            Problem, RefusalError: as ``call``.
        """
        return await self.call(function if len(owner) == 1 else f"portal_{function}", *owner, *arguments)

    async def invoice(self, owner: tuple[str, ...], number: str) -> tuple[str, bool] | None:
        """Document of an invoice, and whether it is voided; None: the owner has none of this number.

        Raises:
            Problem, RefusalError: as ``call``.
        """
        return await (self._invoices if len(owner) == 1 else self._portal_invoices).ask((*owner, number))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Several calls that hold together or not at all: they are durable once it has ended without an error.

        Raises:
            Problem: ``unavailable`` when Postgres cannot be reached, also in its midst.
            RefusalError: ``unsafe_database``.
        """
        async with self._connected() as connection, connection.transaction():
            yield Transaction(connection)

    async def _found_invoices(self, function: str, asked: Sequence[tuple[str, ...]]) -> list[tuple[str, bool] | None]:
        """The answer to each question. The function is called for each by itself, and sets whose rows it may see."""
        answers: list[tuple[str, bool] | None] = [None] * len(asked)
        async with self._connected() as connection:
            with tracing.span(f"api.{function}", "client", attributes=_ATTRIBUTES):
                columns = [list(column) for column in zip(*asked, strict=True)]
                for row in await connection.fetch(_TOGETHER[function], *columns):
                    answers[row["place"] - 1] = (row["document"], row["voided"])
        return answers

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        try:
            pool = self._pool or await self.open()
            async with pool.acquire(timeout=8) as connection:
                yield connection
        except (*_CONNECTION_LOST, asyncpg.QueryCanceledError) as error:
            self._log.warning("database unavailable", reason=str(error) or type(error).__name__)
            raise Problem("unavailable", "The database does not answer.", headers={"Retry-After": "5"}) from error

    async def open(self) -> Any:
        """The pool, made and checked if need be.

        Raises:
            RefusalError: ``unsafe_database``.
            OSError, asyncpg.PostgresError: Postgres cannot be reached.
        """
        async with self._making:
            if self._pool is None:
                pool = await asyncpg.create_pool(
                    self._settings.postgres_url("api"),
                    min_size=1,
                    max_size=self._size,
                    connection_class=_Connection,
                    **_OPTIONS,
                )
                async with pool.acquire() as connection:
                    found = await rls_violations(connection)
                if found:
                    await pool.close()
                    raise RefusalError("unsafe_database", violation_text(found), "postgres")
                self._pool = pool
        return self._pool

    async def connect(self) -> tuple[Any, str]:
        """A connection that is not of the pool, and the channel on which triggers of invoices and voids notify, without
        saying whose it was; no other login knows its name.

        Raises:
            OSError, asyncpg.PostgresError: Postgres cannot be reached.
        """
        connection = await asyncpg.connect(self._settings.postgres_url("api"), **_OPTIONS)
        try:
            return connection, await connection.fetchval("select api.answer_channel()")
        except BaseException:
            connection.terminate()
            raise

    async def close(self) -> None:
        """Let the connections go."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()


class Transaction:
    """An open transaction of a ``Database``."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def call(self, function: str, *arguments: object) -> list[Any]:
        """As ``Database.call``; its errors end the transaction."""
        return await _rows(self._connection, function, arguments)


_ATTRIBUTES = {"db.system.name": "postgresql", "db.operation.name": "select"}


async def _rows(connection: Any, function: str, arguments: Sequence[object]) -> list[Any]:
    places = ", ".join(f"${number}" for number in range(1, len(arguments) + 1))
    bound = [value() if callable(value) else value for value in arguments]
    query = f"select * from api.{function}({places})"  # noqa: S608 - see Database.call
    with tracing.span(f"api.{function}", "client", attributes=_ATTRIBUTES):
        rows: list[Any] = await connection.fetch(query, *bound)
    return rows


async def wait_for_answer(connection: Any, seconds: float) -> None:
    """Until the server answers on this connection: one that is dead says nothing by itself.

    Raises:
        TimeoutError: it does not answer within so many seconds.
    """
    await connection.execute("select 1", timeout=seconds)


_AT_MOST = 5


def violation_text(found: Sequence[str]) -> str:
    """One sentence about what is wrong."""
    more = f"; and {len(found) - _AT_MOST} more" if len(found) > _AT_MOST else ""
    return (
        f"the API will not serve from this database, because {'; '.join(found[:_AT_MOST])}{more}. "
        "`valueverse doctor` lists all of it; docs/api.md says what must hold"
    )
