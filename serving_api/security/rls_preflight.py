"""What must hold before the API serves: the database is as the migrations made it, and so is its login."""

from __future__ import annotations

from typing import Any

from valueverse.platform.access import manifest

_LOGIN = {
    "its login or a role it can become may bypass row-level security ({})": """
        select string_agg(r.rolname, ', ' order by r.rolname) from pg_catalog.pg_roles as r
         where (r.rolsuper or r.rolbypassrls)
           and (r.rolname = session_user or pg_catalog.pg_has_role(session_user, r.oid, 'member'))""",
    "its login or a role it can become owns tables ({})": """
        select string_agg(distinct r.rolname, ', ') from pg_catalog.pg_class as c
          join pg_catalog.pg_roles as r on r.oid = c.relowner
         where c.relkind in ('r', 'p', 'v', 'm', 'f') and pg_catalog.pg_has_role(session_user, r.oid, 'member')""",
    "its login has rights on tables of its own ({})": """
        select string_agg(c.oid::pg_catalog.regclass::text, ', ') from pg_catalog.pg_class as c
          join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog', 'information_schema')
           and (pg_catalog.has_table_privilege(session_user, c.oid,
                    'select, insert, update, delete, truncate, references, trigger')
                or pg_catalog.has_any_column_privilege(session_user, c.oid, 'select, insert, update, references'))""",
}
"""Asked of whatever login it is: the manifest knows the API's own by its name alone."""


async def rls_violations(connection: Any) -> list[str]:
    """What is wrong, one clause each, with its cure; nothing if all is as the migrations made it.

    A time limit that an analyst lifted for itself is `doctor`'s to name: it must not keep the API from starting.
    """
    found = []
    for saying, question in _LOGIN.items():
        named = await connection.fetchval(question)
        if named:
            found.append(saying.format(named))
    catalogue = str(await connection.fetchval(manifest.QUERY))
    return found + [
        f"{violation.what} (cure: {violation.cure})"
        for violation in manifest.rls_violations(catalogue)
        if not violation.by_analyst
    ]
