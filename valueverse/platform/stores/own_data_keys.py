"""A tenant's own wrapped data keys, by the functions that the API's login may call; no customer's.

The functions are those of ``data_key_store``; ``subject`` is always empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from valueverse.platform.queries import rows_of, value_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    Connection = psycopg.Connection[Any]


def newest_version(connection: Connection, tenant: str, subject: str) -> int:
    """See ``data_key_store``."""
    found: int = value_of(
        connection, "select coalesce(max(version), 0) from api.data_keys(%s) where %s = ''", [tenant, subject]
    )
    return found


def take_uses(connection: Connection, tenant: str, subject: str, uses: int, most: int) -> int | None:
    """See ``data_key_store``."""
    found: int | None = value_of(
        connection, "select api.take_data_key(%s, %s, %s) where %s = ''", [tenant, uses, most, subject]
    )
    return found


def add(connection: Connection, tenant: str, subject: str, version: int, wrapped: str) -> None:
    """See ``data_key_store``."""
    connection.execute("select api.add_data_key(%s, %s, %s) where %s = ''", [tenant, version, wrapped, subject])


def keys(connection: Connection, wanted: Sequence[tuple[str, str, int]]) -> list[dict[str, Any]]:
    """See ``data_key_store``."""
    query = """
        select w.tenant, w.subject, k.version, k.wrapped
          from unnest(%s::text[], %s::text[], %s::integer[]) as w (tenant, subject, version)
         cross join lateral api.data_keys(w.tenant) as k
         where k.version = w.version and w.subject = ''"""
    return rows_of(connection, query, [[one[place] for one in wanted] for place in range(3)])
