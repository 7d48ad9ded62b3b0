"""What only a real login meets: its bounds, the databases it may connect to, what stays on its connection."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import make_conninfo

from tests.attacks.on_functions import CALLS
from tests.attacks.world import ANALYST

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings


@dataclass(frozen=True)
class Logins:
    """How to come in as an analyst, as the API and as the builder."""

    settings: Settings
    password: str

    def address(self, login: str, database: str | None = None) -> str:
        """Address of ``login``: analyst, api or builder."""
        if login == "analyst":
            known = self.settings.postgres_url("admin", database)
            return make_conninfo(known, user=ANALYST, password=self.password)
        return self.settings.postgres_url(login, database)


_BOUNDS = {
    "analyst": ("statement_timeout", "idle_in_transaction_session_timeout", "temp_file_limit"),
    "api": ("statement_timeout", "idle_in_transaction_session_timeout", "temp_file_limit"),
    "builder": ("idle_in_transaction_session_timeout", "temp_file_limit"),
}
_AT_MOST = {"statement_timeout": 300_000, "idle_in_transaction_session_timeout": 300_000, "temp_file_limit": 8 * 2**20}
_BUILDERS = {"idle_in_transaction_session_timeout": 21_600_000, "temp_file_limit": 200 * 2**20}


def sessions_begin_with_bounds(logins: Logins) -> list[str]:
    """Time and space are bounded before a login says anything."""
    found_problems = []
    for login, names in _BOUNDS.items():
        with psycopg.connect(logins.address(login)) as session:
            for name in names:
                row = session.execute(
                    "select setting::bigint, source from pg_settings where name = %s", [name]
                ).fetchone()
                assert row is not None
                if not 0 < row[0] <= (_BUILDERS if login == "builder" else _AT_MOST)[name] or row[1] != "user":
                    found_problems.append(f"{login} begins with {name} = {row[0]} ({row[1]})")
    with psycopg.connect(logins.address("admin")) as session:
        if session.execute("show idle_in_transaction_session_timeout").fetchone() == ("0",):
            found_problems.append("an administrator may wait in a transaction for ever")
    return found_problems


def connections_are_bounded(logins: Logins) -> list[str]:
    """One more than a login may have is refused."""
    found_problems = []
    for login, limit in (("analyst", 8), ("api", 60)):
        with ExitStack() as stack:
            try:
                for _ in range(limit + 1):
                    stack.enter_context(psycopg.connect(logins.address(login)))
                found_problems.append(f"{login} has more than {limit} connections")
            except psycopg.OperationalError:
                continue
    return found_problems


def other_databases_are_shut(logins: Logins) -> list[str]:
    """Nobody but administrators connects to the server's own databases."""
    found_problems = []
    for login in ("analyst", "api"):
        for database in ("postgres", "template1"):
            try:
                psycopg.connect(logins.address(login, database)).close()
                found_problems.append(f"{login} connects to {database}")
            except psycopg.OperationalError:
                continue
    return found_problems


_CHANGING_NOTHING = (
    "open_session('nobody', 'no', gen_random_uuid(), 'x', '1 h', '1 h', '')",
    "close_session('acme', gen_random_uuid(), '')",
    "open_portal_session('acme', 'no', gen_random_uuid(), 'x', '1 h', '1 h', '')",
)  # fmt: skip
"""Calls of functions that write, by which they write nothing."""
_SETTINGS = ("valueverse.tenant", "valueverse.key_prefix", "valueverse.customer", "valueverse.request")


def nothing_stays_on_a_connection(logins: Logins) -> list[str]:
    """What a function set (tenant, customer, key, request) is gone with its statement."""
    found_problems = []
    with psycopg.connect(logins.address("api"), autocommit=True) as session:
        for call in _CHANGING_NOTHING:
            session.execute(f"select * from api.{call}".encode())
            found_problems += _left_behind(session, call)
        # Others are called as they are, and what would write breaks off and has set nothing.
        session.execute("set default_transaction_read_only = on")
        for call in CALLS:
            with suppress(psycopg.errors.ReadOnlySqlTransaction):
                session.execute(f"select * from api.{call}".encode())
            found_problems += _left_behind(session, call)
    return found_problems


def _left_behind(session: psycopg.Connection[tuple[str, ...]], call: str) -> list[str]:
    left = []
    for name in _SETTINGS:
        row = session.execute("select coalesce(current_setting(%s, true), '')", [name]).fetchone()
        if row != ("",):
            left.append(f"{call} leaves {name} {row} behind")
            session.execute(f"reset {name}".encode())
    return left


LOGIN_ATTACKS = {
    attack.__name__.replace("_", " "): attack
    for attack in (
        sessions_begin_with_bounds,
        nothing_stays_on_a_connection,
        other_databases_are_shut,
        connections_are_bounded,
    )
}
