"""The API serves from no database whose isolation is broken, and carries nothing from one call to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from serving_api.database import Database
from serving_api.security.rls_preflight import rls_violations
from tests.support.serving import seed, serving
from tests.support.violations import BY_ANALYST, SETUP, VIOLATIONS, change
from valueverse.errors import RefusalError
from valueverse.platform.telemetry.logs import make_log
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from valueverse.platform.settings import Role, Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]


@pytest.fixture
def admin(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A superuser whose work is undone."""
    with connect(settings, "admin", autocommit=True) as connection, connection.transaction(force_rollback=True):
        yield connection


async def asked(settings: Settings) -> list[str]:
    connection = await asyncpg.connect(settings.postgres_url("api"))
    try:
        return await rls_violations(connection)
    finally:
        await connection.close()


class AsLogin:
    """An administrator's transaction, seen as the API's login; ``rls_violations`` asks it as it asks asyncpg."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    async def fetchval(self, question: str) -> str | None:
        self._connection.execute("set local session authorization valueverse_api")
        row = self._connection.execute(question.encode()).fetchone()
        self._connection.execute("reset session authorization")
        return row[0] if row else None


async def test_every_violation_stops_the_api_from_serving(admin: psycopg.Connection[Any]) -> None:
    admin.execute(SETUP.encode())
    assert await rls_violations(AsLogin(admin)) == []
    for violation, sentence in VIOLATIONS.items():
        with admin.transaction(force_rollback=True):
            admin.execute(change(violation, admin.info.dbname).encode())
            found = await rls_violations(AsLogin(admin))
            # What an analyst may do by itself must not stop the API for every tenant.
            assert bool([one for one in found if sentence in one]) == (violation not in BY_ANALYST), (violation, found)


async def test_the_api_refuses_to_serve_while_isolation_is_broken(settings: Settings) -> None:
    assert await asked(settings) == []
    with connect(settings, "admin") as connection:
        connection.execute("drop policy api_tenant on billing.invoice")
    database = Database(settings, make_log())
    with pytest.raises(RefusalError, match="will not serve") as refusal:
        await database.open()
    assert refusal.value.code == "unsafe_database"


@pytest.mark.parametrize("role", ["admin", "builder"])
async def test_the_api_refuses_a_login_that_bypasses_row_level_security(settings: Settings, role: Role) -> None:
    connection = await asyncpg.connect(settings.postgres_url(role))
    try:
        found = await rls_violations(connection)
    finally:
        await connection.close()
    assert any("bypass row-level security" in violation for violation in found)


async def test_the_app_does_not_start_while_isolation_is_broken(settings: Settings) -> None:
    with connect(settings, "admin") as connection:
        connection.execute("grant select on billing.invoice to valueverse_api")
    with pytest.raises(RefusalError):
        async with serving(settings, {}):
            pass


async def test_nothing_of_one_call_stays_on_the_connection(settings: Settings) -> None:
    seed(settings)
    database = Database(settings, make_log(), size=1)
    assert len(await database.call("customers", "acme", None, 10)) == 2
    with pytest.raises(asyncpg.PostgresError):
        await database.call("customers", "acme", None, -1)
    pool = await database.open()
    assert await pool.fetchval("select coalesce(current_setting('valueverse.tenant', true), '')") == ""
    assert len(await database.call("customers", "nobody", None, 10)) == 0
    await database.close()
