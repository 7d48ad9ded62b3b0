"""What must hold before the API serves: neither its login nor its functions can look past a tenant's wall."""

from __future__ import annotations

from typing import Any

_QUESTIONS = {
    "its login or a role it can become may bypass row-level security ({})": """
        select string_agg(r.rolname, ', ' order by r.rolname) from pg_catalog.pg_roles as r
         where (r.rolsuper or r.rolbypassrls)
           and (r.rolname = session_user or pg_catalog.pg_has_role(session_user, r.oid, 'member'))""",
    "its login or a role it can become owns tables ({})": """
        select string_agg(distinct r.rolname, ', ') from pg_catalog.pg_class as c join pg_catalog.pg_roles as
        r on r.oid = c.relowner
         where c.relkind in ('r', 'p', 'v', 'm', 'f') and pg_catalog.pg_has_role(session_user, r.oid,
         'member')""",
    "its login has rights on tables of its own ({})": """
        select string_agg(c.oid::pg_catalog.regclass::text, ', ') from pg_catalog.pg_class as c
          join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
         where c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname not in ('pg_catalog',
         'information_schema')
           and (pg_catalog.has_table_privilege(session_user, c.oid, 'select, insert, update, delete,
           truncate, references, trigger')
                or pg_catalog.has_any_column_privilege(session_user, c.oid, 'select, insert, update,
                references'))""",
    "functions it calls are owned by a role that may bypass row-level security or owns tables ({})": """
        select string_agg(distinct p.oid::pg_catalog.regprocedure::text, ', ')
          from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
         where n.nspname = 'api' and exists (
            select from pg_catalog.pg_roles as r
             where pg_catalog.pg_has_role(p.proowner, r.oid, 'member')
               and (r.rolsuper or r.rolbypassrls
                    or exists (select from pg_catalog.pg_class as c where c.relowner = r.oid and c.relkind in
                    ('r', 'p'))))""",
    "functions it calls do not pin their search path or do not run as their owner ({})": """
        select string_agg(p.oid::pg_catalog.regprocedure::text, ', ')
          from pg_catalog.pg_proc as p join pg_catalog.pg_namespace as n on n.oid = p.pronamespace
         where n.nspname = 'api' and not (p.prosecdef and coalesce(p.proconfig, '{}') @>
         array['search_path=pg_catalog, pg_temp'])""",
    "tables its functions read lack forced row-level security or the restrictive tenant policy ({})": """
        select string_agg(distinct c.oid::pg_catalog.regclass::text, ', ')
          from pg_catalog.pg_class as c
          join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
          join (select distinct proowner from pg_catalog.pg_proc where pronamespace =
          'api'::pg_catalog.regnamespace) as f on true
         where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema')
           and pg_catalog.has_any_column_privilege(f.proowner, c.oid, 'select, insert, update')
           and not (c.relrowsecurity and c.relforcerowsecurity and exists (
                select from pg_catalog.pg_policy as p
                 where p.polrelid = c.oid and not p.polpermissive and p.polname = 'api_tenant' and p.polcmd =
                 '*'
                   and f.proowner = any (p.polroles)
                   and pg_catalog.pg_get_expr(p.polqual, p.polrelid) like
                   '%tenant_id%valueverse.tenant%'))""",
}


async def holes(connection: Any) -> list[str]:
    """What is wrong with the walls as the API's login sees them; nothing if they are whole."""
    found = []
    for saying, question in _QUESTIONS.items():
        named = await connection.fetchval(question)
        if named:
            found.append(saying.format(named))
    return found
