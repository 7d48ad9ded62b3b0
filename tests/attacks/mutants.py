"""Rules of the database, weakened one at a time: read out of a live catalogue, so that a new one is found by itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.attacks.on_rights import API, BUILDER, GROUP, OWNER, READER, USER_SCHEMAS, relations, rows
from tests.attacks.world import ANALYST

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    Admin = psycopg.Connection[Any]


@dataclass(frozen=True)
class Mutant:
    """A change that weakens one rule; with ``undo`` it is committed and tried with real logins."""

    kind: str
    change: str
    undo: str = ""


NO_GUARD = "alter event trigger valueverse_guard disable; "
GUARD_AGAIN = "; alter event trigger valueverse_guard enable"
_UNSET = "coalesce(current_setting('valueverse.tenant', true), '') = ''"
_ANY = "current_setting('valueverse.tenant', true) is not null"
_DATED = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"


def mutants(admin: Admin) -> list[Mutant]:
    """All of them, in the order of their kinds."""
    makers = (policies, row_level_security, rights_on_tables, rights_on_sequences, rights_on_schemas, functions,
              filters, default_rights, roles, memberships, bounds, databases, rights_of_server, triggers, owners,
              views, guard, additions)  # fmt: skip
    return [mutant for make in makers for mutant in make(admin)]


def policies(admin: Admin) -> Iterator[Mutant]:
    """Each policy's expression opened in several ways; a restrictive one dropped or made permissive. A policy that lets
    everything pass, or judges written rows alone and all of them as good, has nothing to open."""
    judging = rows(
        admin,
        "select p.polname, p.polrelid::regclass::text from pg_policy p"
        " where pg_get_expr(p.polwithcheck, p.polrelid) <> 'true' order by 2, 1",
    )
    for name, table in judging:
        yield Mutant("policy", f"alter policy {name} on {table} with check (true)")
    found = rows(
        admin,
        "select p.polname, p.polrelid::regclass::text, p.polpermissive, pg_get_expr(p.polqual, p.polrelid),"
        " case p.polcmd when '*' then 'all' when 'r' then 'select' else 'update' end,"
        " (select string_agg(rolname, ', ') from pg_roles where oid = any(p.polroles))"
        " from pg_policy p order by 2, 1",
    )
    for name, table, permissive, expression, verb, to in found:
        change = f"alter policy {name} on {table} "
        if expression in {None, "true"}:
            continue
        for opened in ("true", f"true or ({expression})", f"({expression}) or {_UNSET}", f"({expression}) or {_ANY}"):
            yield Mutant("policy", f"{change}using ({opened})")
        if permissive:
            yield Mutant("policy", f"create policy second on {table} using (true)")
        else:
            yield Mutant("policy", f"drop policy {name} on {table}")
            again = f"create policy {name} on {table} for {verb} to {to} using ({expression})"
            yield Mutant("policy", f"drop policy {name} on {table}; {again}")


def row_level_security(admin: Admin) -> Iterator[Mutant]:
    """Not enabled, or not forced, on each table of tenants."""
    for table in relations(admin, "c.relrowsecurity"):
        yield Mutant("row-level security", f"{NO_GUARD}alter table {table} disable row level security{GUARD_AGAIN}")
        yield Mutant("row-level security", f"{NO_GUARD}alter table {table} no force row level security{GUARD_AGAIN}")


def rights_on_tables(admin: Admin) -> Iterator[Mutant]:
    """Rights given to everybody and to each low login, on each relation."""
    for table in relations(admin):
        marts = table.startswith("marts.")
        for grantee in ("public", GROUP, API):
            if not (grantee == GROUP and (marts or table == "guard.analyst_tenant")):
                yield Mutant("right on a table", f"grant select on {table} to {grantee}")
            yield Mutant("right on a table", f"grant insert, update, delete, truncate on {table} to {grantee}")
        column = rows(
            admin, "select quote_ident(attname) from pg_attribute where attrelid = %s::regclass and attnum = 1", table
        )[0][0]
        yield Mutant("right on a column", f"grant select ({column}) on {table} to {API}")
        yield Mutant("right on a column", f"grant update ({column}) on {table} to {ANALYST}")
        if not table.startswith("marts"):
            yield Mutant("right on a table", f"grant select, truncate, references on {table} to {READER}")
            yield Mutant("right on a table", f"grant truncate, references, trigger on {table} to {BUILDER}")
        else:
            yield Mutant("right on a table", f"grant select on {table} to {GROUP} with grant option")


def rights_on_sequences(admin: Admin) -> Iterator[Mutant]:
    """USAGE on each sequence."""
    found = rows(admin, f"select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                 f" where c.relkind = 'S' and {USER_SCHEMAS}")  # fmt: skip
    for (name,) in found:
        yield Mutant("right on a sequence", f"grant usage on sequence {name} to {API}")


def rights_on_schemas(admin: Admin) -> Iterator[Mutant]:
    """USAGE and CREATE on each schema."""
    for (schema,) in rows(
        admin, f"select nspname from pg_namespace n where {USER_SCHEMAS} or nspname = 'pg_catalog' order by 1"
    ):
        for grantee in ("public", GROUP, API, READER, BUILDER):
            for right in ("usage", "create"):
                role = "analyst_probe" if grantee == "public" else grantee
                if rows(admin, f"select has_schema_privilege('{role}', '{schema}', '{right}')") == [(False,)]:
                    yield Mutant("right on a schema", f"grant {right} on schema {schema} to {grantee}")


def _functions(admin: Admin, where: str = "true") -> list[tuple[Any, ...]]:
    return rows(
        admin,
        "select p.oid::regprocedure::text, p.prosecdef, p.proconfig, pg_get_functiondef(p.oid), n.nspname, p.prosrc"
        f" from pg_proc p join pg_namespace n on n.oid = p.pronamespace where {USER_SCHEMAS} and {where} order by 1",
    )


def functions(admin: Admin) -> Iterator[Mutant]:
    """EXECUTE given, the search path not pinned, run as another, owned by another."""
    for name, definer, config, _, schema, _ in _functions(admin):
        for grantee in ("public", GROUP, API):
            if not (schema == "api" and grantee == API):
                yield Mutant("right on a function", f"grant execute on function {name} to {grantee}")
        if config:
            yield Mutant("search path", f"alter function {name} reset search_path")
        yield Mutant("function", f"alter function {name} security {'invoker' if definer else 'definer'}")
        yield Mutant("function", f"alter function {name} leakproof")


_FILTER = re.compile(
    r"\b[a-z]\w*\.(?:tenant_id|prefix|key_hash|token_hash|family) = [\w.]+|\b[a-z]\w*\.revoked_at is null"
)


def filters(admin: Admin) -> Iterator[Mutant]:
    """Each comparison with a tenant or a credential in a function of ``api`` replaced by true."""
    for name, _, _, text, _, body in _functions(admin, "n.nspname = 'api'"):
        start = text.index(body)
        for found in _FILTER.finditer(body):
            weaker = text[: start + found.start()] + "true" + text[start + found.end() :]
            yield Mutant("filter", weaker + f"\n/* {name}: without {found.group()} */")
        if ", true);" in body:
            yield Mutant("setting that stays", text.replace(", true);", ", false);", 1), undo=text)


def default_rights(admin: Admin) -> Iterator[Mutant]:
    """What new functions and tables give to everybody."""
    for role in (OWNER, READER, BUILDER):
        change = f"alter default privileges for role {role} "
        yield Mutant("default right", f"{change}grant execute on functions to public")
        for grantee in (GROUP, API, "public"):
            yield Mutant("default right", f"{change}grant select on tables to {grantee}")
    found = rows(
        admin,
        "select defaclrole::regrole::text, defaclnamespace::regnamespace::text from pg_default_acl"
        " where defaclobjtype = 'r' and defaclnamespace <> 0 order by 1, 2",
    )
    for role, schema in found:
        for grantee in (GROUP, API, BUILDER):
            if grantee != role:
                yield Mutant(
                    "default right",
                    f"alter default privileges for role {role} in schema {schema} grant insert, truncate on tables"
                    f" to {grantee}",
                )


def roles(admin: Admin) -> Iterator[Mutant]:
    """Attributes that a role must not have."""
    for role in (OWNER, READER, GROUP, API, BUILDER, ANALYST):
        for attribute in ("superuser", "createrole", "createdb", "bypassrls", "replication", "login"):
            if (role, attribute) != (BUILDER, "bypassrls") and not (
                attribute == "login" and role in {API, BUILDER, ANALYST}
            ):
                yield Mutant("role", f"alter role {role} {attribute}")


_APART = """
select 1 where %s::regrole <> %s::regrole and not exists (
    with recursive held as (
        select roleid, member from pg_auth_members
        union select above.roleid, held.member from held join pg_auth_members as above on above.member = held.roleid)
    select from held where (member, roleid) in ((%s::regrole, %s::regrole), (%s::regrole, %s::regrole)))
"""


def memberships(admin: Admin) -> Iterator[Mutant]:
    """Each low login made a member of each other role."""
    others = [
        row[0]
        for row in rows(admin, "select rolname from pg_roles where rolname not in ('pg_database_owner') order by 1")
    ]
    for role in (ANALYST, GROUP, API, READER):
        for other in others:
            if rows(admin, _APART, role, other, other, role, role, other):
                yield Mutant("membership", f"grant {other} to {role}")
    yield Mutant("membership", f"grant {GROUP} to {ANALYST} with admin option")
    yield Mutant("membership", f"grant {GROUP} to {ANALYST} with set true")


def bounds(admin: Admin) -> Iterator[Mutant]:
    """Each setting and limit of each login, taken away."""
    found = rows(
        admin,
        "select r.rolname, split_part(s, '=', 1), split_part(s, '=', 2) from pg_db_role_setting d join pg_roles r"
        " on r.oid = d.setrole, unnest(d.setconfig) s where r.rolname ~ '^(valueverse_|analyst_probe)' order by 1, 2",
    )
    for role, name, value in found:
        yield Mutant("bound", f"alter role {role} reset {name}", f"alter role {role} set {name} = '{value}'")
    for role, limit in rows(
        admin, "select rolname, rolconnlimit from pg_roles where rolconnlimit <> -1 and rolname <> 'analyst_unmapped'"
    ):
        yield Mutant("bound", f"alter role {role} connection limit -1", f"alter role {role} connection limit {limit}")
    for name in ("temp_file_limit", "session_replication_role", "log_statement"):
        for grantee in (GROUP, API):
            yield Mutant("bound", f"grant set on parameter {name} to {grantee}")
    name = rows(admin, "select current_database()")[0][0]
    unset = "idle_in_transaction_session_timeout"
    yield Mutant("bound", f"alter database {name} reset {unset}", f"alter database {name} set {unset} = '6h'")


def databases(admin: Admin) -> Iterator[Mutant]:
    """CONNECT, TEMPORARY and CREATE on each database; CREATE on tablespaces."""
    for (name,) in rows(admin, "select datname from pg_database where datallowconn order by 1"):
        for grantee in ("public", GROUP, API):
            for right in ("connect", "temporary", "create"):
                role = ANALYST if grantee == "public" else grantee
                if rows(admin, f"select has_database_privilege('{role}', '{name}', '{right}')") == [(False,)]:
                    yield Mutant("right on a database", f"grant {right} on database {name} to {grantee}")
    yield Mutant("right on a tablespace", f"grant create on tablespace pg_default to {GROUP}")


def rights_of_server(admin: Admin) -> Iterator[Mutant]:
    """Each revoke from everybody undone, on functions; the server's closed relations opened."""
    closed = rows(
        admin,
        "select p.oid::regprocedure::text from pg_proc p"
        " left join pg_init_privs i on i.objoid = p.oid and i.classoid = 'pg_proc'::regclass"
        " where p.pronamespace = 'pg_catalog'::regnamespace and p.proacl is not null and i.objoid is null"
        " and not exists (select from aclexplode(p.proacl) where grantee = 0) order by 1",
    )
    for (name,) in closed:
        yield Mutant("right of the server", f"grant execute on function {name} to public")
    for name in ("pg_read_file(text)", "pg_ls_dir(text)", "lo_import(text)", "pg_stat_reset()"):
        yield Mutant("right of the server", f"grant execute on function {name} to {GROUP}")
    for name in ("pg_authid", "pg_shadow", "pg_statistic", "pg_largeobject", "pg_hba_file_rules", "pg_user_mapping"):
        yield Mutant("right of the server", f"grant select on {name} to {GROUP}")
    yield Mutant("right of the server", f"grant select (rolpassword) on pg_authid to {API}")


def triggers(admin: Admin) -> Iterator[Mutant]:
    """Each trigger disabled, left to replicas, dropped."""
    for name, table in rows(
        admin, "select tgname, tgrelid::regclass::text from pg_trigger where not tgisinternal order by 2, 1"
    ):
        for change in ("disable", "enable"):
            yield Mutant("trigger", f"alter table {table} {change} trigger {name}")
        yield Mutant("trigger", f"drop trigger {name} on {table}")


def owners(admin: Admin) -> Iterator[Mutant]:
    """Tables, functions, schemas given to the functions' owner and to the builder."""
    for table in relations(admin, "c.relkind in ('r', 'p', 'v') and n.nspname not in ('staging', 'intermediate')"):
        yield Mutant("owner", f"alter table {table} owner to {READER}")
        if not table.startswith("marts"):
            yield Mutant("owner", f"alter table {table} owner to {BUILDER}")
    for name, _, _, _, schema, _ in _functions(admin):
        owner = BUILDER if schema == "api" else READER
        yield Mutant("owner", f"grant create on schema {schema} to {owner}; alter function {name} owner to {owner};"
                     f" revoke create on schema {schema} from {owner}")  # fmt: skip
    for (schema,) in rows(admin, f"select nspname from pg_namespace n where {USER_SCHEMAS} order by 1"):
        yield Mutant("owner", f"alter schema {schema} owner to {API if schema == 'api' else READER}")


def views(admin: Admin) -> Iterator[Mutant]:
    """Each view reading with its owner's rights."""
    for view in relations(admin, "c.relkind = 'v'"):
        yield Mutant("view", f"{NO_GUARD}alter view {view} reset (security_invoker){GUARD_AGAIN}")


_TAGS = ("CREATE TABLE", "CREATE TABLE AS", "SELECT INTO", "ALTER TABLE", "CREATE VIEW", "ALTER VIEW",
         "CREATE MATERIALIZED VIEW",
         "ALTER MATERIALIZED VIEW")  # fmt: skip


def guard(admin: Admin) -> Iterator[Mutant]:
    """The event trigger off, gone, deaf to one command; its functions doing nothing."""
    yield Mutant("guard", "alter event trigger valueverse_guard disable")
    yield Mutant("guard", "drop event trigger valueverse_guard")
    for tag in _TAGS:
        tags = ", ".join(f"'{one}'" for one in _TAGS if one != tag)
        again = f"create event trigger valueverse_guard on ddl_command_end when tag in ({tags})"
        again += " execute function guard.on_ddl()"
        yield Mutant("guard", f"drop event trigger valueverse_guard; {again}")
    for name, result in (("guard.protect(relation oid)", "void"), ("guard.on_ddl()", "event_trigger")):
        yield Mutant("guard", f"create or replace function {name} returns {result} language plpgsql security definer"
                     " set search_path = pg_catalog, pg_temp as 'begin end'")  # fmt: skip


_ALL_OF_IT = """
create function marts.all_of_it() returns setof marts.probe language sql security definer
    as 'select * from marts.probe';
grant execute on function marts.all_of_it() to valueverse_analyst
"""
_EVERYTHING = """
create function api.everything() returns setof billing.invoice language sql security definer
    as 'select * from billing.invoice';
grant execute on function api.everything() to valueverse_api
"""


def additions(_: Admin) -> Iterator[Mutant]:
    """What the migrations never make."""
    for change in (
        "create table marts.open as select secret from marts.probe; grant select on marts.open to valueverse_analyst",
        _ALL_OF_IT,
        _EVERYTHING,
        "create table marts.child () inherits (marts.parent)",
        "create rule spill as on insert to billing.customer do also select 1",
        "create publication everything for all tables",
        "create foreign data wrapper other; create server other foreign data wrapper other",
        "select lo_create(4711); grant select on large object 4711 to public",
        "create role mallory login in role valueverse_reader",
        "create role mallory login in role valueverse_analyst",
        "alter table billing.invoice_line disable trigger all",
        "create policy support on billing.invoice as permissive to valueverse_api using (true)",
    ):
        before = (
            "create table public.parent (tenant_id text); alter table public.parent set schema marts; "
            if "marts.parent" in change
            else ""
        )
        yield Mutant("addition", before + change)
