"""The database roles, their bounds, and which databases they may connect to."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psycopg import errors, sql

from valueverse.platform.access.secrets import secret
from valueverse.platform.queries import value_of, values_of
from valueverse.platform.settings import ROLE_NAMES

if TYPE_CHECKING:
    import psycopg

    from valueverse.platform.settings import Settings

    Connection = psycopg.Connection[Any]

OWNER = "valueverse_owner"
READER = "valueverse_reader"
ANALYST = "valueverse_analyst"
"""Roles without login: owner of migrated tables, owner of the ``api`` functions, group of all analysts."""

ANALYST_PREFIX = "analyst_"

# Attributes are spelled out: a changed default would open access.
_LOW = "nosuperuser nocreatedb nocreaterole noreplication inherit"
ATTRIBUTES = {
    OWNER: f"nologin nobypassrls {_LOW}",
    READER: f"nologin nobypassrls {_LOW}",
    ANALYST: f"nologin nobypassrls {_LOW}",
    # COPY FROM is refused under row-level security; this login is Dagster's and dbt's, never the API's or a
    # person's.
    ROLE_NAMES["builder"]: f"login bypassrls {_LOW}",
    ROLE_NAMES["api"]: f"login nobypassrls {_LOW} connection limit 60",
}
ANALYST_ATTRIBUTES = f"login nobypassrls {_LOW} connection limit 8"

BOUNDS = {
    ROLE_NAMES["builder"]: {"idle_in_transaction_session_timeout": "6h", "temp_file_limit": "100GB"},
    ROLE_NAMES["api"]: {
        "statement_timeout": "30s",
        "idle_in_transaction_session_timeout": "30s",
        "temp_file_limit": "1GB",
    },
}
ANALYST_BOUNDS = {
    "statement_timeout": "5min",
    "idle_in_transaction_session_timeout": "5min",
    "temp_file_limit": "4GB",
}
ANALYST_SETTINGS = ANALYST_BOUNDS | {"search_path": "marts"}
"""What a login is made with: names of marts need no schema, and `\\d` in psql lists marts."""
DATABASE_BOUNDS = {"idle_in_transaction_session_timeout": "6h"}
"""For every login that has no shorter one of its own, e.g. an administrator who left a psql open."""

_SUPERUSER_ONLY = frozenset({"temp_file_limit"})
_SERVERS_OWN = ("postgres", "template1")
_LOCK = 5_480_001

_OPEN = """
select exists (select from pg_database as d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as acl
                where d.datname = %s and acl.grantee = 0)
"""
_ANALYSTS = r"select rolname::text from pg_roles where rolname like 'analyst\_%' order by 1"
_SETTINGS_OF = """
select d.datname::text, s.setconfig from pg_db_role_setting as s join pg_roles as r on r.oid = s.setrole
  left join pg_database as d on d.oid = s.setdatabase
 where r.rolname = %s
"""


def ensure(connection: Connection, settings: Settings) -> None:
    """Create the roles or bring them to this state, and close the server's own databases to everybody else.

    ``connection``: an administrator's to database ``postgres``, in autocommit. Sessions wait for each other here
    by an advisory lock of that database, which nobody but administrators can connect to.
    """
    for name in _SERVERS_OWN:
        _close_servers_own(connection, name)
    connection.execute("select pg_advisory_lock(%s)", (_LOCK,))
    known = set(values_of(connection, "select rolname from pg_roles"))
    for name, attributes in ATTRIBUTES.items():
        verb = "alter" if name in known else "create"
        connection.execute(sql.SQL(f"{verb} role {{}} with {attributes}").format(sql.Identifier(name)))
    for name, bounds in BOUNDS.items():
        bind(connection, name, bounds)
    # An analyst sets for its own login what it likes, also for good, and did for the group: it ends here.
    _reset(connection, ANALYST, {})
    for role in ("builder", "api"):
        set_password(connection, ROLE_NAMES[role], secret(settings.secrets_dir, f"postgres_{role}"))
    for name in values_of(connection, _ANALYSTS):
        connection.execute(sql.SQL(f"alter role {{}} with {ANALYST_ATTRIBUTES}").format(sql.Identifier(name)))
        _reset(connection, name, ANALYST_SETTINGS)
        join_analysts(connection, name)
    # An administrator who is no superuser (a managed server) acts for the roles it made.
    for name in (OWNER, READER, ROLE_NAMES["builder"]):
        connection.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(name)))


def bind(connection: Connection, role: str, bounds: dict[str, str]) -> None:
    """Give a login its time limits and bounds; those only a superuser may set are left out without one."""
    for name, value in bounds.items():
        change = sql.SQL("alter role {} set {} = {}").format(
            sql.Identifier(role), sql.Identifier(name), sql.Literal(value)
        )
        with suppress(errors.InsufficientPrivilege), connection.transaction():
            connection.execute(change)


def _reset(connection: Connection, role: str, bounds: dict[str, str]) -> None:
    """Leave a role its bounds and no other setting, in this or in any one database."""
    wanted = {f"{name}={value}" for name, value in bounds.items()}
    for database, config in connection.execute(_SETTINGS_OF, (role,)).fetchall():
        if database is not None or not set(config) <= wanted:
            place = sql.SQL(" in database {}").format(sql.Identifier(database)) if database else sql.SQL("")
            connection.execute(sql.SQL("alter role {}").format(sql.Identifier(role)) + place + sql.SQL(" reset all"))
    bind(connection, role, bounds)


def join_analysts(connection: Connection, role: str) -> None:
    """Make a login a member of the group of analysts: with its rights, and never as the group itself.

    A role changes its own settings, and settings of a role of ours keep the API from starting.
    """
    join = sql.SQL("grant {} to {} with admin false, inherit true, set false")
    connection.execute(join.format(sql.Identifier(ANALYST), sql.Identifier(role)))


def set_password(connection: Connection, role: str, password: str) -> None:
    """Set a login's password; only its SCRAM verifier travels, so that no statement log can hold it."""
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(verifier)))


def create_database(connection: Connection, name: str, template: str | None, *, for_dagster: bool) -> None:
    """Create a database if it is missing, and let our own roles alone connect to it.

    A template's privileges are not copied: a new database is open to everybody, so it takes no connection until
    they are set.
    """
    database = sql.Identifier(name)
    takes_connections = value_of(connection, "select datallowconn from pg_database where datname = %s", (name,))
    if takes_connections is None:
        # A template of ours has hundreds of tables: its files are copied, not its blocks one by one through the log.
        copy = sql.SQL(" template {} strategy file_copy")
        source = copy.format(sql.Identifier(template)) if template else sql.SQL("")
        create = sql.SQL("create database {}").format(database) + source + sql.SQL(" allow_connections false")
        connection.execute(create)
    connection.execute(sql.SQL("revoke all on database {} from public").format(database))
    builder = sql.Identifier(ROLE_NAMES["builder"])
    connection.execute(sql.SQL("grant connect, create, temporary on database {} to {}").format(database, builder))
    for bound, value in DATABASE_BOUNDS.items():
        change = sql.SQL("alter database {} set {} = {}")
        connection.execute(change.format(database, sql.Identifier(bound), sql.Literal(value)))
    if for_dagster:
        connection.execute(sql.SQL("alter database {} owner to {}").format(database, builder))
    else:
        for role in (ROLE_NAMES["api"], ANALYST):
            connection.execute(sql.SQL("grant connect on database {} to {}").format(database, sql.Identifier(role)))
    if not takes_connections:
        connection.execute(sql.SQL("alter database {} with allow_connections true").format(database))


def end_sessions(connection: Connection, role: str, database: str | None = None) -> int:
    """End the sessions of a login (in one database, or in all) and wait until they are gone; gives how many."""
    ended = connection.execute(
        "select pg_terminate_backend(pid, 10000) from pg_stat_activity"
        " where usename = %s and (%s::text is null or datname = %s) and pid <> pg_backend_pid()",
        (role, database, database),
    ).fetchall()
    return len(ended)


def _close_servers_own(connection: Connection, name: str) -> None:
    if not value_of(connection, _OPEN, (name,)):
        return
    database = sql.Identifier(name)
    # An administrator who is no superuser came in by the right of everybody. Two installers at a time meet here.
    with suppress(errors.InternalError_):
        connection.execute(sql.SQL("grant connect on database {} to current_user").format(database))
        connection.execute(sql.SQL("revoke all on database {} from public").format(database))
    low = r"select rolname::text from pg_roles where rolname = %s or rolname like 'analyst\_%%'"
    for role in values_of(connection, low, (ROLE_NAMES["api"],)):
        end_sessions(connection, role, name)
