"""Analysts: one database login each, bound to tenants by ``guard.analyst_tenant``, which they cannot
write."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict

from valueverse.errors import RefusalError
from valueverse.platform import warehouse
from valueverse.platform.access import roles
from valueverse.platform.queries import values_of
from valueverse.platform.settings import TENANT_KEY

if TYPE_CHECKING:
    from collections.abc import Collection

    import psycopg

    from valueverse.platform.settings import Settings

_HOLDING = """
select distinct d.datname::text
  from pg_shdepend as held join pg_database as d on d.oid = held.dbid
 where held.refclassid = 'pg_authid'::regclass and d.datallowconn
   and held.refobjid = (select oid from pg_roles where rolname = %s)
"""


def role_name(name: str) -> str:
    """Database login of analyst ``name``.

    Raises:
        RefusalError: ``bad_name``.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,47}", name):
        raise RefusalError(
            "bad_name", f"{name!r} names no analyst: use 1 to 48 of a-z, 0-9 and _, a letter first", "NAME"
        )
    return roles.ANALYST_PREFIX + name


def add(settings: Settings, name: str, tenants: Collection[str]) -> str | None:
    """Let analyst ``name`` read ``tenants`` as well; gives the password of a login that this call made, else
    None.

    Raises:
        RefusalError: ``bad_name``, ``bad_tenant``, ``warehouse_unreachable``.
    """
    role = role_name(name)
    for tenant in tenants:
        if not TENANT_KEY.fullmatch(tenant):
            raise RefusalError("bad_tenant", f"{tenant!r} is not a tenant key", "--tenant")
    password = secrets.token_urlsafe(18)
    with warehouse.connect(settings, "admin") as connection:
        fresh = _create(connection, role, password)
        for tenant in sorted(set(tenants)):
            connection.execute(
                "insert into guard.analyst_tenant values (%s, %s) on conflict do nothing",
                (role, tenant),
            )
    return password if fresh else None


def address(settings: Settings, name: str) -> dict[str, str]:
    """Where analyst ``name`` connects to: host, port, dbname, user and, where the address has one, sslmode; no
    password.

    Raises:
        RefusalError: ``bad_name``.
    """
    found = conninfo_to_dict(settings.postgres_url("admin")) | {"user": role_name(name)}
    given = {key: str(found[key]) for key in ("host", "port", "dbname", "user", "sslmode") if found.get(key)}
    # Programs of ours use the socket of the embedded server; BI tools know hosts and ports.
    if settings.postgres_port and not settings.external_postgres_url:
        given["host"] = "127.0.0.1"
    return given


def url(settings: Settings, name: str) -> str:
    """``address`` in one line, as psql and most BI tools take it.

    Raises:
        RefusalError: ``bad_name``.
    """
    given = address(settings, name)
    host, port = given.get("host", ""), given.get("port", "5432")
    query = {"sslmode": given["sslmode"]} if "sslmode" in given else {}
    if host.startswith("/"):
        query |= {"host": host, "port": port}
        place = ""
    else:
        place = f"{host}:{port}"
    return f"postgresql://{given['user']}@{place}/{quote(given['dbname'], safe='')}" + (
        f"?{urlencode(query, safe='/')}" if query else ""
    )


def remove(settings: Settings, name: str, tenants: Collection[str] | None = None) -> None:
    """Take ``tenants`` away from analyst ``name``; without ``tenants``, the login too, with all that it owns.

    Its sessions end first: an open cursor goes on reading what it could read when it was opened. A removal that
    was interrupted is finished by the next one.

    Raises:
        RefusalError: ``unknown_analyst``, ``analyst_owns`` (the login is shut by then).
    """
    role = role_name(name)
    with warehouse.connect(settings, "admin") as connection:
        if tenants is not None:
            connection.execute(
                "delete from guard.analyst_tenant where role_name = %s and tenant_id = any(%s)",
                (role, list(tenants)),
            )
            connection.commit()
            roles.end_sessions(connection, role)
            return
        connection.execute("delete from guard.analyst_tenant where role_name = %s", (role,))
        known = connection.execute("select from pg_roles where rolname = %s", (role,)).fetchone()
        if known is not None:
            connection.execute(sql.SQL("alter role {} nologin").format(sql.Identifier(role)))
            connection.execute(sql.SQL("grant {} to current_user").format(sql.Identifier(role)))
        connection.commit()
        if known is None:
            raise RefusalError("unknown_analyst", f"there is no analyst {name!r}", "NAME")
        roles.end_sessions(connection, role)
        databases = values_of(connection, _HOLDING, (role,))
    try:
        # Privileges on what all databases share go with those of any one of them.
        for database in databases or [settings.database_name]:
            with warehouse.connect(settings, "admin", database=database) as connection:
                connection.execute(sql.SQL("drop owned by {}").format(sql.Identifier(role)))
        with warehouse.connect(settings, "admin") as connection:
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
    except errors.DependentObjectsStillExist as error:
        reason = " ".join(str(error).split())
        message = (
            f"{role} cannot log in any more, but stays: {reason}; give that to another owner or drop it, then try again"
        )
        raise RefusalError("analyst_owns", message, role) from error


def listed(settings: Settings) -> list[tuple[str, str]]:
    """(analyst, tenant) of every mapping row."""
    with warehouse.connect(settings, "admin") as connection:
        rows = connection.execute("select role_name, tenant_id from guard.analyst_tenant order by 1, 2").fetchall()
    return [(str(role).removeprefix(roles.ANALYST_PREFIX), str(tenant)) for role, tenant in rows]


def _create(connection: psycopg.Connection[Any], role: str, password: str) -> bool:
    if connection.execute("select from pg_roles where rolname = %s", (role,)).fetchone() is not None:
        return False
    connection.execute(sql.SQL(f"create role {{}} with {roles.ANALYST_ATTRIBUTES}").format(sql.Identifier(role)))
    roles.bind(connection, role, roles.ANALYST_SETTINGS)
    roles.set_password(connection, role, password)
    roles.join_analysts(connection, role)
    return True
