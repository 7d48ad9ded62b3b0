"""Analysts: one database login each, bound to tenants by ``guard.analyst_tenant``, which they cannot
write."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Any

from psycopg import errors, sql

from valueverse.errors import RefusalError
from valueverse.platform import warehouse
from valueverse.platform.settings import TENANT_KEY

if TYPE_CHECKING:
    from collections.abc import Collection

    import psycopg

    from valueverse.platform.settings import Settings

PREFIX = "analyst_"


def role_name(name: str) -> str:
    """Database login of analyst ``name``.

    Raises:
        RefusalError: ``bad_name``.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,47}", name):
        raise RefusalError(
            "bad_name", f"{name!r} names no analyst: use 1 to 48 of a-z, 0-9 and _, a letter first", "NAME"
        )
    return PREFIX + name


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


def remove(settings: Settings, name: str, tenants: Collection[str] | None = None) -> None:
    """Take ``tenants`` away from analyst ``name``; without ``tenants``, the login too.

    Raises:
        RefusalError: ``unknown_analyst``.
    """
    role = role_name(name)
    with warehouse.connect(settings, "admin") as connection:
        if tenants is not None:
            connection.execute(
                "delete from guard.analyst_tenant where role_name = %s and tenant_id = any(%s)",
                (role, list(tenants)),
            )
            return
        connection.execute("delete from guard.analyst_tenant where role_name = %s", (role,))
        try:
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(role)))
        except errors.UndefinedObject as error:
            raise RefusalError("unknown_analyst", f"there is no analyst {name!r}", "NAME") from error


def listed(settings: Settings) -> list[tuple[str, str]]:
    """(analyst, tenant) of every mapping row."""
    with warehouse.connect(settings, "admin") as connection:
        rows = connection.execute("select role_name, tenant_id from guard.analyst_tenant order by 1, 2").fetchall()
    return [(str(role).removeprefix(PREFIX), str(tenant)) for role, tenant in rows]


def _create(connection: psycopg.Connection[Any], role: str, password: str) -> bool:
    if connection.execute("select from pg_roles where rolname = %s", (role,)).fetchone() is not None:
        return False
    # Attributes spelled out: a default that changed would be a hole. Time limits keep one query from holding
    # the server.
    attributes = "login nosuperuser nobypassrls nocreatedb nocreaterole noreplication inherit connection limit 8"
    connection.execute(sql.SQL(f"create role {{}} with {attributes}").format(sql.Identifier(role)))
    connection.execute(sql.SQL("alter role {} set statement_timeout = '5min'").format(sql.Identifier(role)))
    warehouse.set_password(connection, role, password)
    group = sql.Identifier(warehouse.ANALYST)
    connection.execute(sql.SQL("grant {} to {}").format(group, sql.Identifier(role)))
    return True
