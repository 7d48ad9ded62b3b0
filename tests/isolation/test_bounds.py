"""No login holds the server: bounds on time, space and connections, and databases that are closed to it."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import make_conninfo

from pipelines.definitions import defs
from pipelines.sensors import long_sessions
from valueverse.platform import warehouse
from valueverse.platform.access import analysts
from valueverse.platform.access.watchdog import end_long_sessions
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.security]
_SLEEPS = "select 1 from pg_stat_activity where pid = %s and state = 'active' and query ~ 'pg_sleep'"
NOW, LONG = timedelta(0), timedelta(hours=9)


@pytest.fixture(scope="module")
def addresses(own_server: Settings) -> Iterator[dict[str, str]]:
    """The address of an analyst and of the API's login."""
    name = f"b{secrets.token_hex(4)}"
    password = analysts.add(own_server, name, ["acme"])
    assert password is not None
    analyst = make_conninfo(own_server.postgres_url("admin"), user=analysts.role_name(name), password=password)
    yield {"analyst": analyst, "api": own_server.postgres_url("api")}
    analysts.remove(own_server, name)


@pytest.fixture
def builder(own_server: Settings) -> Iterator[psycopg.Connection[Any]]:
    with connect(own_server, "builder", autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("who", ["analyst", "api"])
@pytest.mark.parametrize("setting", ["statement_timeout", "idle_in_transaction_session_timeout", "temp_file_limit"])
def test_every_login_begins_with_bounds(addresses: dict[str, str], who: str, setting: str) -> None:
    with psycopg.connect(addresses[who]) as session:
        row = session.execute("select setting::bigint from pg_settings where name = %s", [setting]).fetchone()
    assert row is not None
    assert row[0] > 0


def test_nobody_waits_in_a_transaction_for_ever(own_server: Settings) -> None:
    for role in ("builder", "admin"):
        with connect(own_server, role) as session:
            assert session.execute("show idle_in_transaction_session_timeout").fetchone() == ("6h",)


@pytest.mark.parametrize("who", ["analyst", "api"])
def test_nobody_lifts_the_bound_on_temporary_files(addresses: dict[str, str], who: str) -> None:
    with psycopg.connect(addresses[who]) as session, pytest.raises(errors.InsufficientPrivilege):
        session.execute("set temp_file_limit = -1")


def test_a_ninth_session_of_an_analyst_is_refused(addresses: dict[str, str]) -> None:
    sessions = [psycopg.connect(addresses["analyst"]) for _ in range(8)]
    try:
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            psycopg.connect(addresses["analyst"])
    finally:
        for session in sessions:
            session.close()


def test_the_api_has_a_bound_on_connections(builder: psycopg.Connection[Any]) -> None:
    row = builder.execute("select rolconnlimit from pg_roles where rolname = 'valueverse_api'").fetchone()
    assert row is not None
    assert 0 < row[0] < 100


@pytest.mark.parametrize("who", ["analyst", "api"])
@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_the_servers_own_databases_are_closed(addresses: dict[str, str], who: str, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(make_conninfo(addresses[who], dbname=database))


def test_every_database_is_closed_to_everybody(builder: psycopg.Connection[Any]) -> None:
    rows = builder.execute(
        "select d.datname from pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) acl"
        " where d.datallowconn and acl.grantee = 0"
    ).fetchall()
    assert rows == []


def test_an_upgrade_closes_what_an_earlier_one_left_open(own_server: Settings) -> None:
    with connect(own_server, "admin") as admin:
        admin.execute("grant connect, temporary on database template1 to public")
    try:
        with psycopg.connect(make_conninfo(own_server.postgres_url("api"), dbname="template1")) as intruder:
            intruder.execute("select pg_advisory_lock(5480001)")
            warehouse.ensure_roles(own_server)
            with pytest.raises(psycopg.OperationalError):
                intruder.execute("select 1")
    finally:
        warehouse.ensure_roles(own_server)
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(make_conninfo(own_server.postgres_url("api"), dbname="template1"))


def test_an_upgrade_binds_analysts_of_an_earlier_one(own_server: Settings) -> None:
    name = f"b{secrets.token_hex(4)}"
    role = analysts.role_name(name)
    analysts.add(own_server, name, ["acme"])
    try:
        with connect(own_server, "admin", autocommit=True) as admin:
            admin.execute(f"alter role {role} connection limit -1; alter role {role} reset all".encode())
            warehouse.ensure_roles(own_server)
            row = admin.execute(
                "select r.rolconnlimit, s.setconfig from pg_roles r join pg_db_role_setting s on s.setrole = r.oid"
                " where r.rolname = %s", [role]).fetchone()  # fmt: skip
    finally:
        analysts.remove(own_server, name)
    assert row == (
        8,
        ["statement_timeout=5min", "idle_in_transaction_session_timeout=5min", "temp_file_limit=4GB"],
    )


@pytest.mark.parametrize("who", ["analyst", "api"])
def test_a_long_transaction_is_ended(addresses: dict[str, str], builder: psycopg.Connection[Any], who: str) -> None:
    with psycopg.connect(addresses[who]) as session:
        session.execute("set statement_timeout = 0; set idle_in_transaction_session_timeout = 0")
        pid = session.info.backend_pid
        assert not any(f"(process {pid})" in line for line in end_long_sessions(builder, LONG, LONG))
        assert any(f"(process {pid})" in line for line in end_long_sessions(builder, LONG, NOW))
        with pytest.raises(psycopg.OperationalError):
            session.execute("select 1")


@pytest.mark.parametrize("who", ["analyst", "api"])
def test_a_query_whose_limit_was_lifted_is_ended(
    addresses: dict[str, str], builder: psycopg.Connection[Any], own_server: Settings, who: str
) -> None:
    with psycopg.connect(addresses[who], autocommit=True) as session, ThreadPoolExecutor(1) as pool:
        session.execute("set statement_timeout = 0")
        pid = session.info.backend_pid
        query = pool.submit(session.execute, "select pg_sleep(600)")
        with connect(own_server, "admin", autocommit=True) as admin:
            while not admin.execute(_SLEEPS, [pid]).fetchone():
                pass
        assert any(f"(process {pid})" in line for line in end_long_sessions(builder, NOW, LONG))
        with pytest.raises(psycopg.OperationalError):
            query.result()


def test_the_builders_and_administrators_sessions_go_on(own_server: Settings, builder: psycopg.Connection[Any]) -> None:
    with connect(own_server, "builder") as own, connect(own_server, "admin") as admin:
        own.execute("select 1")
        admin.execute("select 1")
        end_long_sessions(builder, NOW, NOW)
        assert own.execute("select 2").fetchone() == admin.execute("select 2").fetchone()


@pytest.mark.parametrize("who", ["analyst", "api"])
def test_only_the_builder_ends_sessions(addresses: dict[str, str], who: str) -> None:
    with psycopg.connect(addresses[who]) as session, pytest.raises(errors.InsufficientPrivilege):
        session.execute("select * from guard.end_long_sessions('0 s', '0 s')")


def test_a_sensor_ends_long_sessions_by_itself(own_server: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in own_server.environment().items():
        monkeypatch.setenv(name, value)
    assert long_sessions.default_status == dg.DefaultSensorStatus.RUNNING
    with dg.DagsterInstance.ephemeral() as instance:
        tick = long_sessions.evaluate_tick(dg.build_sensor_context(instance=instance, definitions=defs))
    assert tick.skip_message == "No session outlasts its limits."
