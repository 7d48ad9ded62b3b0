"""The catalogue check of row-level security: what the guard promises, read back from ``pg_catalog``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

_TABLES = """
select c.oid::regclass::text
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
 where c.relkind in ('r', 'p') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not (c.relrowsecurity and c.relforcerowsecurity)
 order by 1
"""

_POLICIES = """
select c.oid::regclass::text
  from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
 where c.relnamespace = to_regnamespace('marts') and c.relkind in ('r', 'p')
   and not exists (
       select from pg_policy p
        where p.polrelid = c.oid and p.polname = 'analyst_tenant'
          and pg_get_expr(p.polqual, p.polrelid) like '%analyst_tenant%SESSION_USER%')
 order by 1
"""

_OPEN_POLICIES = """
select p.polrelid::regclass::text || ': policy ' || p.polname
  from pg_policy p join pg_class c on c.oid = p.polrelid
 where c.relnamespace = to_regnamespace('marts') and p.polpermissive and p.polname <> 'analyst_tenant'
   and (p.polroles = '{0}' or exists (
       select from unnest(p.polroles) as role where pg_has_role('valueverse_analyst', role, 'member')))
 order by 1
"""

_VIEWS = """
select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace
 where n.nspname in ('marts', 'api')
   and (c.relkind = 'm' or c.relkind = 'v'
        and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on'], false))
 order by 1
"""

_ROLES = """
select low.rolname || ' can become ' || high.rolname
  from pg_roles low join pg_roles high on pg_has_role(low.oid, high.oid, 'member')
 where (low.rolname in ('valueverse_api', 'valueverse_reader', 'valueverse_analyst')
        or low.rolname like 'analyst\\_%')
   and (high.rolsuper or high.rolbypassrls or high.rolcreaterole)
 order by 1
"""

_MAPPING = """
select role.rolname || ' may write guard.analyst_tenant'
  from pg_roles role
 where (role.rolname in ('valueverse_api', 'valueverse_analyst') or role.rolname like 'analyst\\_%')
   and has_table_privilege(role.oid, to_regclass('guard.analyst_tenant'), 'insert, update, delete, truncate')
 order by 1
"""

_CHECKS = (
    (_TABLES, "{}: row-level security is not enabled and forced"),
    (_POLICIES, "{}: analysts have no policy bound to their login"),
    (_OPEN_POLICIES, "{} lets analysts see more than their mapping"),
    (_VIEWS, "{}: the view shows what its owner may see (security_invoker is off)"),
    (_ROLES, "{}, which passes by row-level security"),
    (_MAPPING, "{}"),
)


def breaches(connection: psycopg.Connection[Any]) -> list[str]:
    """Every hole found, one sentence each; empty when the walls stand."""
    found: list[str] = []
    for statement, sentence in _CHECKS:
        found += [sentence.format(row[0]) for row in connection.execute(statement.encode())]
    return found


def guarded(connection: psycopg.Connection[Any]) -> bool:
    """Whether the event trigger that walls off every new table is there and on."""
    row = connection.execute(
        "select evtenabled <> 'D' from pg_event_trigger where evtname = 'valueverse_guard'"
    ).fetchone()
    return bool(row and row[0])
