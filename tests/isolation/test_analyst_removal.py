"""An analyst who is removed is gone at once, whatever the login owns and whatever its sessions do."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from tests.support.dagster_world import own_instance
from valueverse.errors import RefusalError
from valueverse.platform.access import analysts
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.security]


@pytest.fixture
def name(own_server: Settings) -> Iterator[str]:
    """An analyst of acme over a mart of two tenants."""
    with connect(own_server, "builder") as builder:
        builder.execute("create table if not exists marts.fct (tenant_id text, place int)")
        builder.execute(
            "insert into marts.fct select t, p from unnest('{acme,birch}'::text[]) t, generate_series(1, 500) p"
        )
    made = f"r{secrets.token_hex(4)}"
    yield made
    with connect(own_server, "admin") as admin:
        role = sql.Identifier(analysts.role_name(made))
        if admin.execute("select 1 from pg_roles where rolname = %s", [analysts.role_name(made)]).fetchone():
            admin.execute(sql.SQL("drop owned by {0} cascade; drop role {0}").format(role))


def address(own_server: Settings, name: str, password: str | None) -> str:
    assert password is not None
    return make_conninfo(own_server.postgres_url("admin"), user=analysts.role_name(name), password=password)


def remains(own_server: Settings, name: str) -> bool:
    with connect(own_server, "admin") as admin:
        found = admin.execute(
            "select from pg_roles where rolname = %(r)s union all"
            " select from guard.analyst_tenant where role_name = %(r)s",
            {"r": analysts.role_name(name)},
        ).fetchone()
    return found is not None


OWNED = {
    "default privileges": "alter default privileges for role {r} grant select on tables to {r}",
    "default privileges given": "alter default privileges for role valueverse_owner grant select on tables to {r}",
    "a large object": "select lo_create(4711); alter large object 4711 owner to {r}",
    "a table": "create table public.kept (x int); alter table public.kept owner to {r}",
    "a right on a table": "grant select on billing.invoice to {r}",
    "a right on the database": "grant temporary on database {d} to {r}",
    "a right on a parameter": "grant set on parameter temp_file_limit to {r}",
    "a policy": "create policy support on billing.invoice to {r} using (true)",
    "a role that it is in": "grant pg_read_all_data to {r}",
}  # fmt: skip


@pytest.mark.parametrize("owned", OWNED)
def test_a_login_that_owns_something_is_removed(own_server: Settings, name: str, owned: str) -> None:
    password = analysts.add(own_server, name, ["acme"])
    with connect(own_server, "admin") as admin:
        role, database = sql.Identifier(analysts.role_name(name)), sql.Identifier(own_server.database_name)
        admin.execute(sql.SQL(OWNED[owned]).format(r=role, d=database))
    analysts.remove(own_server, name)
    assert not remains(own_server, name)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(address(own_server, name, password))


def test_what_a_login_owns_in_other_databases_goes_too(own_server: Settings, name: str) -> None:
    analysts.add(own_server, name, ["acme"])
    with own_instance(own_server) as own:
        for database in (own.dagster_database, "postgres"):
            with connect(own, "admin", database=database) as admin:
                role = sql.Identifier(analysts.role_name(name))
                admin.execute(
                    sql.SQL("alter default privileges for role {0} grant select on tables to {0}").format(role)
                )
        analysts.remove(own, name)
    assert not remains(own_server, name)


def reading(own_server: Settings, name: str, password: str | None) -> psycopg.Connection[Any]:
    """A session that has begun to read its mart through a cursor."""
    session = psycopg.connect(address(own_server, name, password))
    session.execute("declare held cursor for select * from marts.fct")
    assert len(session.execute("fetch 10 from held").fetchall()) == 10
    return session


def test_a_session_ends_when_its_login_is_removed(own_server: Settings, name: str) -> None:
    session = reading(own_server, name, analysts.add(own_server, name, ["acme"]))
    analysts.remove(own_server, name)
    with pytest.raises(psycopg.OperationalError):
        session.execute("fetch 10 from held")
    assert not remains(own_server, name)


def test_a_session_ends_when_a_tenant_is_taken_away(own_server: Settings, name: str) -> None:
    password = analysts.add(own_server, name, ["acme", "birch"])
    session = reading(own_server, name, password)
    analysts.remove(own_server, name, ["birch"])
    with pytest.raises(psycopg.OperationalError):
        session.execute("fetch 10 from held")
    with psycopg.connect(address(own_server, name, password)) as again:
        assert again.execute("select distinct tenant_id from marts.fct").fetchall() == [("acme",)]


def test_what_others_depend_on_is_named_and_the_login_is_shut(own_server: Settings, name: str) -> None:
    password = analysts.add(own_server, name, ["acme"])
    with connect(own_server, "admin") as admin:
        role = sql.Identifier(analysts.role_name(name))
        admin.execute(sql.SQL("create table public.base (x int); alter table public.base owner to {}").format(role))
        admin.execute("create view public.above as select * from public.base")
    with pytest.raises(RefusalError, match=r"public\.above|view above") as refusal:
        analysts.remove(own_server, name)
    assert refusal.value.code == "analyst_owns"
    with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
        psycopg.connect(address(own_server, name, password))
    with connect(own_server, "admin") as admin:
        admin.execute("drop view public.above")
        admin.commit()
    analysts.remove(own_server, name)
    assert not remains(own_server, name)


def test_a_name_nobody_has_is_unknown(own_server: Settings) -> None:
    with pytest.raises(RefusalError, match="no analyst"):
        analysts.remove(own_server, "nobody_at_all")
