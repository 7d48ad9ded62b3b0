"""Attacks on the rules of the database, each made inside a transaction that is undone; each says what it got.

An attack knows what a login may do from the design (docs/decisions/0402, 0403, 0601) and not from the manifest. It
takes an administrator's connection inside a transaction and becomes the login by SET SESSION AUTHORIZATION, so that a
rule that was weakened in the same transaction, and not committed, is tried as well.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString

import psycopg
from psycopg import sql

from tests.attacks.world import ANALYST, FAMILY, OTHER, OWN, UNMAPPED, secret_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Admin = psycopg.Connection[Any]

API, READER, OWNER, BUILDER = "valueverse_api", "valueverse_reader", "valueverse_owner", "valueverse_builder"
GROUP = "valueverse_analyst"
STATIC = ("billing", "value", "audit", "inbox", "auth", "guard", "vault", "api")
USER_SCHEMAS = "n.nspname !~ '^pg_' and n.nspname <> 'information_schema'"


def rows(admin: Admin, query: str, *values: object) -> list[tuple[Any, ...]]:
    """All rows of ``query``."""
    return admin.execute(query.encode(), list(values) or None).fetchall()


@contextmanager
def acting(admin: Admin, login: str) -> Iterator[None]:
    """As ``login``; all that is done is undone."""
    with admin.transaction(force_rollback=True):
        role = login in {READER, OWNER, BUILDER}
        # Roles are taken on by SET ROLE where policies do not look at the login.
        admin.execute(f"set local {'role' if role else 'session authorization'} {login}".encode())
        yield


_TRY = """
do $try$
declare
    one text;
    got text[] := '{{}}';
begin
    foreach one in array {statements}::text[] loop
        begin
            execute one;
            got := got || one;
        exception
            when {refusal} then if sqlerrm !~ {pattern} then got := got || (one || ': ' || sqlerrm); end if;
            when others then got := got || (one || ': ' || sqlerrm);
        end;
    end loop;
    perform set_config('attack.got', array_to_string(got, E'\\n'), true);
end $try$
"""


def not_refused(
    admin: Admin,
    login: str,
    statements: Iterable[str],
    pattern: str = "",
    refusal: LiteralString = "insufficient_privilege",
) -> list[str]:
    """Those of ``statements`` that ``login`` gets through with, or that fail for another reason than ``refusal``."""
    done = sql.SQL(_TRY).format(
        statements=sql.Literal(list(statements)), pattern=sql.Literal(pattern), refusal=sql.SQL(refusal)
    )
    with acting(admin, login):
        admin.execute(done)
        got = rows(admin, "select current_setting('attack.got', true)")[0][0]
    return [f"{login}: {line}" for line in (got or "").splitlines()]


def relations(admin: Admin, where: str = "true") -> list[str]:
    """Tables, views, partitions of our schemas."""
    found = rows(
        admin,
        "select format('%I.%I', n.nspname, c.relname) from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        f" where c.relkind in ('r', 'p', 'v', 'm', 'f') and {USER_SCHEMAS} and {where} order by 1",
    )
    return [row[0] for row in found]


def readable(admin: Admin, login: str, settings: Iterable[str] = ()) -> dict[str, set[str]]:
    """Secrets of which tenants ``login`` reads, by relation: wherever a select goes through."""
    found = {}
    for name in relations(admin):
        with acting(admin, login):
            for setting in settings:
                admin.execute("select set_config(%s, 'birch', true)", [setting])
            try:
                text = str(rows(admin, f"select * from {name}"))
            except psycopg.errors.InsufficientPrivilege:
                continue
            seen = {tenant for tenant in (OWN, OTHER) if secret_of(tenant) in text or f"'{tenant}'" in text}
            found[name] = seen | ({"something"} if text != "[]" and not seen else set())
    return found


def an_analyst_reads_own_rows_of_marts_alone(admin: Admin) -> list[str]:
    """What tables show to a mapped and to an unmapped analyst, whatever settings they make."""
    found_problems = []
    for login, may in ((ANALYST, {OWN}), (UNMAPPED, set[str]())):
        for settings in ((), ("valueverse.tenant", "app.tenant_id")):
            for name, seen in readable(admin, login, settings).items():
                if not (name.startswith("marts.") or name == "guard.analyst_tenant"):
                    found_problems.append(f"{login} may select from {name}")
                elif not seen <= may:
                    found_problems.append(f"{login} sees {sorted(seen - may)} in {name}")
    with acting(admin, UNMAPPED):
        if rows(admin, "select 1 from guard.analyst_tenant"):
            found_problems.append("an analyst sees others' mapping")
    return found_problems


def the_api_reads_no_table(admin: Admin) -> list[str]:
    """The API's login selects from nothing."""
    return [f"{API} may select from {name}" for name in readable(admin, API)]


_RIGHTS = f"""
select r.rolname, n.nspname || '.' || c.relname, p.privilege, n.nspname, c.relname
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
 cross join (select rolname, oid from pg_roles where rolname = any(%s)) r
 cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER',
                         'SELECT WITH GRANT OPTION', 'INSERT WITH GRANT OPTION']) as p(privilege)
 where c.relkind in ('r', 'p', 'v', 'm', 'f') and {USER_SCHEMAS}
   and (has_table_privilege(r.oid, c.oid, p.privilege)
        or p.privilege !~ '^(DELETE|TRUNCATE|TRIGGER)' and has_any_column_privilege(r.oid, c.oid, p.privilege))
"""

_READ = (
    "tenant", "catalog", "customer", "subscription", "invoice", "invoice_void", "usage_daily", "rejected_event",
    "invoice_line", "credit_note", "journal_entry", "journal_posting", "unchanged_invoice", "invoice_credit",
    "invoice_discount", "rerating", "webhook_attempt", "computation", "unbilled_usage", "earlier_state",
)  # fmt: skip
_WRITTEN_BY_READER = {"SELECT", "INSERT", "UPDATE", "DELETE"}
_WRITTEN_AND_REMOVED = {
    *("refresh_token", "portal_link", "recovery_code", "password_reset", "identity_provider", "provider_sign_in"),
}
"""Tables of the schema ``auth`` that the functions' owner may do everything to."""


_OF_BUILDER_IN_VAULT = {
    "data_key": {"SELECT", "INSERT", "UPDATE"},
    "restriction": {"SELECT", "INSERT", "DELETE"},
    "instrument": _WRITTEN_BY_READER,
    "erasure": {"SELECT", "INSERT", "UPDATE"},
    "privacy_action": {"SELECT", "INSERT"},
}


def _may(role: str, schema: str, table: str, privilege: str) -> bool:
    """The design's answer, written once more."""
    if role in {ANALYST, GROUP}:
        return privilege == "SELECT" and (schema == "marts" or (schema, table) == ("guard", "analyst_tenant"))
    if role == READER:
        if schema == "auth" and table in _WRITTEN_AND_REMOVED:
            return privilege in _WRITTEN_BY_READER
        if (schema, table) == ("inbox", "batch") or (schema == "value" and table != "metric"):
            return privilege in {"SELECT", "INSERT"}
        if (schema, table) in {("inbox", "answer"), ("vault", "restriction"), ("billing", "payment_instrument")}:
            return privilege in {"SELECT", "INSERT", "DELETE"}
        if (schema, table) in {
            ("auth", "api_key"),
            ("auth", "user_account"),
            ("auth", "invitation"),
            ("billing", "computation"),
            ("vault", "data_key"),
            ("billing", "webhook_endpoint"),
            ("billing", "webhook_delivery"),
        }:
            return privilege in {"SELECT", "INSERT", "UPDATE"}
        return privilege == "SELECT" and (
            (schema == "billing" and table in _READ)
            or (schema, table) in {("audit", "entry"), ("audit", "node"), ("value", "metric")}
        )
    if role == BUILDER:
        if schema in {"billing", "value", "audit", "inbox", "queue"}:
            return privilege in _WRITTEN_BY_READER
        if schema == "vault":
            return privilege in _OF_BUILDER_IN_VAULT[table]
        if (schema, table) == ("auth", "user_account"):
            return privilege in {"SELECT", "UPDATE"}
        if (schema, table) == ("auth", "password_reset"):
            return privilege == "SELECT"
        return (schema, table) in {("auth", "api_key"), ("auth", "invitation")} and privilege in {
            "SELECT",
            "INSERT",
            "UPDATE",
        }
    return False


def nobody_has_more_rights_on_tables(admin: Admin) -> list[str]:
    """Every role x table x verb, columns included."""
    logins = [ANALYST, GROUP, API, READER, BUILDER]
    found_problems = [
        f"{role} may {privilege} {name}"
        for role, name, privilege, schema, table in rows(admin, _RIGHTS, logins)
        if not _may(role, schema, table, privilege)
        and not (role == BUILDER and schema in {"staging", "intermediate", "marts", "marts_partitions"})
    ]
    sequences = rows(
        admin,
        "select r.rolname, c.oid::regclass from pg_class c, pg_roles r where c.relkind = 'S' and r.rolname = any(%s)"
        " and has_sequence_privilege(r.oid, c.oid, 'usage, select, update')",
        [ANALYST, API, READER],
    )
    updates = rows(
        admin,
        "select r.rolname, a.attrelid::regclass, a.attname from pg_attribute a, pg_roles r"
        " where (r.rolname, a.attrelid) in (('valueverse_reader', 'auth.refresh_token'::regclass),"
        " ('valueverse_builder', 'auth.api_key'::regclass), ('valueverse_reader', 'auth.api_key'::regclass),"
        " ('valueverse_builder', 'auth.user_account'::regclass), ('valueverse_reader', 'auth.user_account'::regclass),"
        " ('valueverse_builder', 'auth.invitation'::regclass), ('valueverse_reader', 'auth.invitation'::regclass))"
        " and a.attnum > 0 and has_column_privilege(r.oid, a.attrelid, a.attnum, 'update')"
        " and a.attname not in ('used_at', 'revoked_at')"
        " and not (r.rolname = 'valueverse_reader' and a.attname in ('expires_at', 'refused_at', 'used_at'))"
        " and not (r.rolname = 'valueverse_reader' and (a.attrelid, a.attname) in"
        " (('auth.user_account'::regclass, 'name'), ('auth.user_account'::regclass, 'role'),"
        " ('auth.user_account'::regclass, 'totp_secret'), ('auth.user_account'::regclass, 'totp_since'),"
        " ('auth.user_account'::regclass, 'totp_step'), ('auth.user_account'::regclass, 'provider_subject'),"
        " ('auth.user_account'::regclass, 'password_hash'), ('auth.invitation'::regclass, 'accepted_at')))"
        " and not (r.rolname = 'valueverse_builder'"
        " and (a.attrelid, a.attname) = ('auth.invitation'::regclass, 'mail'))"
        " and not (a.attrelid = 'auth.user_account'::regclass and a.attname = 'disabled_at')",
    )
    return found_problems + [f"{row} has more" for row in (*sequences, *updates)]


_QUESTIONS = Path(__file__).with_name("rights.sql").read_text(encoding="utf-8")
_OTHER_RIGHTS = dict(re.findall(r"^-- (.+):\n([^;]+);$", _QUESTIONS, re.MULTILINE))

_MAY = re.compile(
    rf"({ANALYST}|{GROUP}) uses schema (marts|guard)|{API} uses schema api"
    rf"|{READER} uses schema (api|billing|auth|audit|inbox|queue|value|vault)"
    rf"|{BUILDER} uses schema \w+|({READER} creates in api|{BUILDER} creates in (staging|intermediate|marts\w*))"
    rf"|{API} calls api\.\w+|{READER} calls (api\.\w+|auth\.(is_open|key_is_valid|session_actor|answer_channel_name))"
    rf"|{READER} calls (audit\.(pseudonym|submit|leaf_hash)|vault\.record_action)"
    rf"|{READER} calls (value\.\w+|billing\.(invoice_history|(event|explain|known|prior)_\w+)|queue\.(defer|cancel))"
    rf"|{BUILDER} calls ((billing|value)\.\w+|audit\.(submit|add_nodes|leaf_hash)|guard\.end_long_sessions|queue\.\w+)"
    rf"|({ANALYST}|{GROUP}|{API}) uses database \S+ connect"
    rf"|{BUILDER} uses database \S+ (connect|temporary|create)"
    rf"|({READER}|{BUILDER}) calls of the server (pg_(try_)?advisory|lo|pg_notify)\S*"
    rf"|{OWNER} (?!is more|lets in|becomes|takes).*"
    rf"|{GROUP} lets in analyst_\w+"
    rf"|{ANALYST} becomes {GROUP}|{READER} owns (function api\.\w+|api\.computation_answer)"
    rf"|{READER} owns schema api|{BUILDER} owns schema (staging|intermediate|marts\w*)"
)
_OF_SERVER = re.compile("uses database (postgres|template1|dagster) ")
_NOT_THEIRS = re.compile(rf"{BUILDER} uses schema (api|public)")


def nobody_has_more_rights_on_anything_else(admin: Admin) -> list[str]:
    """Schemas, functions, databases, tablespaces, the server's own things, roles, ownership."""
    acts = rows(admin, f"select pg_has_role('{ANALYST}', '{GROUP}', 'set')")[0][0]
    found_problems = [f"{ANALYST} acts as {GROUP}, for all its members"] if acts else []
    for verb, query in _OTHER_RIGHTS.items():
        for role, name in rows(admin, query, [ANALYST, GROUP, API, READER, BUILDER, OWNER]):
            sentence = f"{role} {verb} {name}"
            shut = _OF_SERVER.search(sentence) and role != BUILDER
            if not _MAY.fullmatch(sentence) or shut or _NOT_THEIRS.fullmatch(sentence):
                found_problems.append(sentence)
    return found_problems


def no_login_makes_itself_more(admin: Admin) -> list[str]:
    """Real statements, each to be refused for want of a privilege."""
    spaces = [row[0] for row in rows(admin, f"select nspname from pg_namespace n where {USER_SCHEMAS}")]
    others = [row[0] for row in rows(admin, "select rolname from pg_roles")]
    common = [
        *(f"create table {space}.mine ()" for space in spaces),
        *(f'set role "{role}"' for role in others if role not in {ANALYST, GROUP, API}),
        "create temporary table mine (x int)", "create schema mine",
        "select lo_create(0)", "select lo_from_bytea(0, 'x')", "select pg_advisory_lock(1)",
        "select pg_try_advisory_xact_lock(1, 1)", "select pg_notify('a', 'b')", "select pg_read_file('PG_VERSION')",
        "select pg_logical_emit_message(false, 'a', 'b')",
        "copy (select 1) to program 'true'", "copy (select 1) to '/dev/null'", "set session_replication_role = replica",
        "set temp_file_limit = -1", "select guard.protect('billing.invoice'::regclass)",
        "select * from guard.end_long_sessions('0 s', '0 s', '0 s', 0, 0)", "select * from pg_authid",
        "alter table billing.invoice disable row level security", "drop policy api_tenant on billing.invoice",
        "insert into guard.analyst_tenant values (session_user, 'birch')", "create role more",
        "create publication more",
        "delete from marts.probe where false", "update marts.probe set secret = '' where false",
        "insert into marts.probe values ('acme', 'x')", "truncate marts.probe", "truncate marts_partitions.probe__p00",
        "lock table marts.probe in exclusive mode",
    ]  # fmt: skip
    refusals = "permission denied|must be|must have|Only roles"
    found_problems = not_refused(
        admin, ANALYST, [*common, "select api.ready()", "select * from api.invoice('acme', 'INV-1')"], refusals
    )
    found_problems += not_refused(admin, API, common, refusals)
    # A schema that is shut says so; one that is open lets the name of a function be guessed.
    found_problems += not_refused(admin, ANALYST, ["select api.ready()"], "permission denied for schema")
    found_problems += not_refused(admin, API, ["select guard.protect(0)", "select 1 from billing.invoice",
                                    "select 1 from marts.probe"],
                        "permission denied for schema")  # fmt: skip
    return found_problems


def the_owner_sees_no_row(admin: Admin) -> list[str]:
    """Forced row-level security holds for the owner of the tables too."""
    found_problems = []
    for role in (OWNER, READER):
        with acting(admin, role):
            admin.execute("select set_config('valueverse.tenant', '', true)")
            open_ones = rows(
                admin,
                "select c.oid::regclass from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                " join pg_attribute a"
                f" on a.attrelid = c.oid and a.attname = 'tenant_id' where c.relkind in ('r', 'p') and {USER_SCHEMAS}"
                " and n.nspname = any(%s) and not row_security_active(c.oid)",
                [*STATIC, "marts", "marts_partitions", "staging", "intermediate"],
            )
            found_problems += [f"{role} is not held back by {name}" for (name,) in open_ones]
    return found_problems


def tables_of_functions(admin: Admin) -> list[str]:
    """Tables of tenants that the functions' owner may select from."""
    return relations(admin, f"c.relrowsecurity and has_table_privilege('{READER}', c.oid, 'select')")


def policies_hold_without_the_functions(admin: Admin) -> list[str]:
    """The functions' owner sees and changes the rows of the tenant that is set, and none without one."""
    tables = tables_of_functions(admin)
    settings = [
        (OWN, "", {OWN}),
        (None, "", set[str]()),
        ("", "", set[str]()),
        ("nobody", "nothing", set[str]()),
        (None, None, set[str]()),
    ]
    found_problems = []
    for table in tables:
        for tenant, prefix, may in settings:
            with acting(admin, READER):
                admin.execute(
                    "select set_config('valueverse.tenant', %s, true), set_config('valueverse.key_prefix', %s, true)",
                    [tenant, prefix],
                )
                if tenant is None:
                    admin.execute("reset valueverse.tenant")
                if prefix is None:
                    admin.execute("reset valueverse.key_prefix")
                seen = {row[0] for row in rows(admin, f"select tenant_id from {table}")}
                if not seen <= may:
                    found_problems.append(
                        f"with tenant {tenant!r} and prefix {prefix!r} {table} shows {sorted(seen - may)}"
                    )
    for name in ("customer", "subscription", "invoice", "usage_daily"):
        with acting(admin, READER):
            admin.execute(
                "select set_config('valueverse.tenant', 'acme', true),"
                " set_config('valueverse.customer', 'only acme', true)"
            )
            seen = {row[0] for row in rows(admin, f"select customer from billing.{name}")}
            found_problems += [f"{name} shows customer {one}" for one in seen - {"only acme"}]
    with acting(admin, READER):
        admin.execute(
            "select set_config('valueverse.tenant', '', true), set_config('valueverse.key_prefix', 'k1', true)"
        )
        seen = {row[0] for row in rows(admin, "select prefix from auth.api_key")}
        found_problems += [f"the prefix k1 shows keys {sorted(seen)}"] if seen != {"k1"} else []
    with acting(admin, READER):
        admin.execute("select set_config('valueverse.tenant', 'acme', true)")
        changed = admin.execute("update auth.refresh_token set revoked_at = now() where tenant_id = 'birch'").rowcount
        gone = admin.execute("delete from auth.refresh_token where tenant_id = 'birch'").rowcount
        found_problems += [f"{changed} rows of another tenant changed, {gone} gone"] if changed or gone else []
    insert = (
        "insert into auth.refresh_token (tenant_id, token_hash, family, key_prefix, idle_expires_at, expires_at)"
        f" values ('birch', 'forged', '{FAMILY}', 'k1', now(), now())"
    )
    return found_problems + not_refused(admin, READER, [insert], "row-level security")
