"""No login holds the server: bounds on time, space and connections, and databases that are closed to it."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import psutil
import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pipelines.definitions import defs
from pipelines.sensors import long_sessions
from valueverse.platform import warehouse
from valueverse.platform.access import analysts, manifest
from valueverse.platform.access.watchdog import end_long_sessions
from valueverse.platform.servers.processes import read_record
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


SETTINGS = [
    "statement_timeout=5min",
    "idle_in_transaction_session_timeout=5min",
    "temp_file_limit=4GB",
    "search_path=marts",
]


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
        SETTINGS,
    )


BY_ITSELF = [
    "set work_mem = '1GB'",
    "set search_path = nowhere",
    "set row_security = off",
    "set role = 'valueverse_builder'",
    "set statement_timeout = 0",
    "set default_transaction_read_only = on",
    "in database {database} set work_mem = '1GB'",
    "in database {database} set transaction_timeout = 0",
]


@pytest.mark.parametrize("change", BY_ITSELF)
def test_what_an_analyst_sets_for_itself_stops_nobody_and_ends_with_the_next_start(
    own_server: Settings, addresses: dict[str, str], change: str
) -> None:
    with psycopg.connect(addresses["analyst"], autocommit=True) as session:
        session.execute(f"alter role current_user {change.format(database=session.info.dbname)}".encode())
    assert [violation.what for violation in _violations(own_server) if not violation.by_analyst] == []
    warehouse.ensure_roles(own_server)
    assert _violations(own_server) == []
    with connect(own_server, "admin") as admin:
        rows = admin.execute(
            r"select setconfig from pg_db_role_setting s join pg_roles r on r.oid = s.setrole"
            r" where rolname like 'analyst\_%'"
        ).fetchall()
    assert rows == [(SETTINGS,)]


def _violations(own_server: Settings) -> list[manifest.Violation]:
    with connect(own_server, "admin") as admin:
        row = admin.execute(manifest.QUERY.encode()).fetchone()
    assert row is not None
    return manifest.rls_violations(row[0])


def test_an_analyst_does_not_act_as_the_group_of_analysts(addresses: dict[str, str]) -> None:
    with psycopg.connect(addresses["analyst"]) as session:
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute("set role valueverse_analyst")
        session.rollback()
        with pytest.raises(errors.InsufficientPrivilege):
            session.execute("alter role valueverse_analyst set search_path = nowhere")


def test_an_upgrade_takes_the_group_from_analysts_of_an_earlier_one(
    own_server: Settings, addresses: dict[str, str]
) -> None:
    role = conninfo_to_dict(addresses["analyst"])["user"]
    with connect(own_server, "admin", autocommit=True) as admin:
        admin.execute(f"grant valueverse_analyst to {role} with set true".encode())
        admin.execute(b"alter role valueverse_analyst set search_path = nowhere")
    assert len(_violations(own_server)) == 2
    warehouse.ensure_roles(own_server)
    assert _violations(own_server) == []


_HOARDS = (
    "select count(*) from (select g %% 4, array_agg(repeat('x', 1000) || g) as found"
    " from generate_series(1, %s) g group by 1) as hoarded where found is not null"
)


def test_a_query_that_needs_too_much_memory_fails_alone(
    own_server: Settings, addresses: dict[str, str], builder: psycopg.Connection[Any]
) -> None:
    record = read_record(own_server.run, "postgres")
    assert record is not None
    process = psutil.Process(record.pid)
    assert process.rlimit(psutil.RLIMIT_DATA) == (2 * 2**30, 2 * 2**30)
    with psycopg.connect(addresses["analyst"], autocommit=True) as session:
        psutil.Process(session.info.backend_pid).rlimit(psutil.RLIMIT_DATA, (2**27, 2**27))
        session.execute("set work_mem = '100GB'; set max_parallel_workers_per_gather = 0")
        with pytest.raises(errors.OutOfMemory):
            session.execute(_HOARDS, [300_000])
        assert session.execute("select 1").fetchone() == (1,)
    assert builder.execute("select 1").fetchone() == (1,)


def test_a_session_that_holds_much_memory_is_ended(addresses: dict[str, str], builder: psycopg.Connection[Any]) -> None:
    with psycopg.connect(addresses["analyst"]) as session, psycopg.connect(addresses["analyst"]) as modest:
        session.execute("set work_mem = '1GB'")
        session.execute(
            "declare kept cursor for select repeat('x', 1000) || g from generate_series(1, 60000) g order by 1"
        )
        session.execute("fetch 1 from kept")
        modest.execute("select 1")
        (line,) = end_long_sessions(builder, LONG, LONG, at_most_bytes=40 * 2**20)
        assert f"(process {session.info.backend_pid}): holds too much memory" in line
        with pytest.raises(psycopg.OperationalError):
            session.execute("select 1")
        assert modest.execute("select 1").fetchone() == (1,)


def test_a_lock_that_the_builder_waits_for_is_ended_and_no_other(
    addresses: dict[str, str], builder: psycopg.Connection[Any], own_server: Settings
) -> None:
    with connect(own_server, "builder", autocommit=True) as made:
        made.execute("create table if not exists marts.held (tenant_id text)")
    with (
        psycopg.connect(addresses["analyst"]) as holds,
        psycopg.connect(addresses["analyst"]) as queues,
        connect(own_server, "builder") as waits,
        ThreadPoolExecutor(2) as pool,
    ):
        holds.execute("select * from marts.held")
        dropped = pool.submit(waits.execute, "drop table marts.held")
        _until_waiting(own_server, waits.info.backend_pid)
        read = pool.submit(queues.execute, "select * from marts.held")
        _until_waiting(own_server, queues.info.backend_pid)
        assert end_long_sessions(builder, LONG, LONG, LONG) == []
        (line,) = end_long_sessions(builder, LONG, LONG, NOW)
        assert f"(process {holds.info.backend_pid}): holds a lock that others wait for" in line
        dropped.result()
        waits.rollback()
        holds.close()
        assert read.result().fetchall() == []


def _until_waiting(own_server: Settings, pid: int) -> None:
    with connect(own_server, "admin", autocommit=True) as admin:
        while not admin.execute("select 1 from pg_locks where pid = %s and not granted", [pid]).fetchone():
            pass


def test_who_lets_the_queue_of_notifications_fill_is_ended(
    addresses: dict[str, str], builder: psycopg.Connection[Any]
) -> None:
    with psycopg.connect(addresses["analyst"], autocommit=True) as listens:
        listens.execute("listen anything")
        listens.execute("begin; select 1")
        with psycopg.connect(addresses["analyst"], autocommit=True) as notifies:
            for _ in range(20):
                notifies.execute(f"notify anything, '{'y' * 7_900}'".encode())
            assert end_long_sessions(builder, LONG, LONG) == []
            lines = end_long_sessions(builder, LONG, LONG, at_most_percent=0)
            assert any(
                f"(process {listens.info.backend_pid}): the queue of notifications fills" in one for one in lines
            )
            assert not any(f"(process {notifies.info.backend_pid})" in one for one in lines)
            listens.close()
            # The next one who notifies takes away what nobody waits for any more.
            notifies.execute("notify anything")


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
        session.execute("select * from guard.end_long_sessions('0 s', '0 s', '0 s', 0, 0)")


def test_a_sensor_ends_long_sessions_by_itself(own_server: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in own_server.environment().items():
        monkeypatch.setenv(name, value)
    assert long_sessions.default_status == dg.DefaultSensorStatus.RUNNING
    with dg.DagsterInstance.ephemeral() as instance:
        tick = long_sessions.evaluate_tick(dg.build_sensor_context(instance=instance, definitions=defs))
    assert tick.skip_message == "No session goes beyond its bounds."
