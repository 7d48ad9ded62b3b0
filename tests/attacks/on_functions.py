"""Attacks on the functions of schema ``api``, on what protects written rows, and on new objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from tests.attacks.calls import CALLS
from tests.attacks.on_rights import API, BUILDER, OWNER, READER, STATIC, acting, not_refused, relations, rows
from tests.attacks.world import ANALYST, DRAFT, FAMILY, INVOICE, OTHER, OWN, secret_of

if TYPE_CHECKING:
    Admin = psycopg.Connection[Any]

_NEW_TOKENS = {"open_session('acme', 'k1'": 1, "open_session('acme', 'k2'": 0, "open_session('acme', 'only": 0}
_STATE = """
select token_hash, family, key_prefix, used_at is null,
       case when revoked_at is null then 'open' when revoked_at < now() - interval '1 minute' then 'shut before'
            else 'shut' end
  from auth.refresh_token where tenant_id = %s
union all
select 'key ' || prefix, null, name, expires_at is null, case when revoked_at is null then 'open' else 'shut' end
  from auth.api_key where tenant_id = %s
union all
select 'link ' || link_hash, null, customer, used_at is null, '' from auth.portal_link where tenant_id = %s
union all
select 'user ' || user_id, null, role, disabled_at is null, password_hash from auth.user_account where tenant_id = %s
union all
select 'invitation ' || invitation, null, email, accepted_at is null, case when revoked_at is null then 'open' end
  from auth.invitation where tenant_id = %s
union all
select 'factor ' || user_id, null, totp_step::text, totp_since is null, totp_secret::text from auth.user_account
 where tenant_id = %s
union all
select 'code ' || code_hash, null, user_id, used_at is null, '' from auth.recovery_code where tenant_id = %s
union all
select 'reset ' || token_hash, null, user_id, used_at is null, '' from auth.password_reset where tenant_id = %s
union all
select 'provider ' || provider, null, issuer, null, client_id from auth.identity_provider where tenant_id = %s
union all
select 'sign-in ' || state_hash, null, user_id, used_at is null, token_hash from auth.provider_sign_in
 where tenant_id = %s
union all
select 'subject ' || user_id, null, provider_subject, null, '' from auth.user_account where tenant_id = %s
union all
select 'data key ' || version, null, subject, wrapped is null, uses::text from vault.data_key where tenant_id = %s
union all
select 'hook ' || endpoint, null, url, disabled_at is null, secret_version::text
  from billing.webhook_endpoint where tenant_id = %s
union all
select 'held ' || customer, null, reason, null, '' from vault.restriction where tenant_id = %s
union all
select 'instrument ' || instrument, null, customer, null, token from billing.payment_instrument where tenant_id = %s
union all
select 'delivery ' || delivery, null, state, due_at is null, ''
  from billing.webhook_delivery where tenant_id = %s order by 1
"""
_TENANTS = _STATE.count("%s")
_STAYS = (
    "('revoked before', UUID('{f}'), 'k1', True, 'shut before')",
    "('of another family', UUID('{d}'), 'k1', True, 'open')",
)
"""Tokens that no call has to do with."""


def _answer(admin: Admin, call: str) -> tuple[str, str, str]:
    """What a call gives, and the sessions of acme and birch after it."""
    with admin.transaction(force_rollback=True):
        # A plan is cached with the policies it was made under: ALTER ROLE makes none of them invalid.
        admin.execute("discard plans")
        admin.execute("set local session authorization valueverse_api")
        try:
            with admin.transaction():
                given = str(rows(admin, f"select * from api.{call}"))
        except psycopg.Error as error:
            given = type(error).__name__
        admin.execute("reset session authorization")
        return given, str(rows(admin, _STATE, *[OWN] * _TENANTS)), str(rows(admin, _STATE, *[OTHER] * _TENANTS))


def functions_filter_by_themselves(admin: Admin) -> list[str]:
    """With policies, and without any: the same answers, none of another tenant's."""
    found_problems = []
    before = str(rows(admin, _STATE, *[OTHER] * _TENANTS))
    known = {row[0] for row in rows(admin, "select proname from pg_proc where pronamespace = 'api'::regnamespace")}
    found_problems += [f"no call tries api.{name}" for name in known - {call.partition("(")[0] for call in CALLS}]
    answers = {call: _answer(admin, call) for call in CALLS}
    with admin.transaction(force_rollback=True):
        admin.execute("alter role valueverse_reader bypassrls")
        alone = {call: _answer(admin, call) for call in CALLS}
    for call, wanted in CALLS.items():
        for way, (given, own, other) in (("", answers[call]), (" without policies", alone[call])):
            if wanted not in {None, given} or not given.startswith("["):
                found_problems.append(f"{call} gives{way} {given}")
            if secret_of(OTHER) in given or other != before:
                found_problems.append(f"{call} shows or changes{way} rows of another tenant")
            if "another family" not in call and not all(token.format(f=FAMILY, d=DRAFT) in own for token in _STAYS):
                found_problems.append(f"{call} changes{way} sessions it has nothing to do with")
            fresh = next((count for start, count in _NEW_TOKENS.items() if call.startswith(start)), None)
            if fresh is not None and own.count("'new'") != fresh:
                found_problems.append(f"{call} made{way} {own.count(chr(39) + 'new' + chr(39))} sessions")
        if answers[call] != alone[call]:
            found_problems.append(f"{call} differs without policies: {alone[call][0]}")
    return found_problems


_IN_THE_WAY = {
    "set_config(text, text, boolean)": "text",
    "format(text, text)": "text",
    "format(text, regclass)": "text",
    "clock_timestamp()": "timestamptz",
    "statement_timestamp()": "timestamptz",
    "now()": "timestamptz",
    "hashtextextended(text, bigint)": "bigint",
    "pg_terminate_backend(integer)": "boolean",
    "pg_has_role(oid, name, text)": "boolean",
    "pg_event_trigger_ddl_commands()": "table (classid oid, objid oid)",
}


def functions_look_where_their_owner_does(admin: Admin) -> list[str]:
    """A search path of the caller's, with functions and relations of the same names in it, is not looked at."""
    found_problems = []
    with admin.transaction(force_rollback=True):
        admin.execute("create schema evil; grant usage on schema evil to public")
        for name, what in _IN_THE_WAY.items():
            admin.execute(
                f"create function evil.{name} returns {what} language plpgsql"
                " as $$begin raise exception 'evil'; end$$".encode()
            )
        admin.execute(
            "create function evil.fails() returns boolean language plpgsql as $$begin raise exception 'evil'; end$$;"
            "create view evil.pg_roles as select oid, rolname, evil.fails() as rolsuper from pg_catalog.pg_roles;"
            "grant select on evil.pg_roles to public"
        )
        for call in CALLS:
            with acting(admin, API):
                admin.execute("set local search_path = evil, pg_catalog")
                try:
                    with admin.transaction():
                        rows(admin, f"select * from api.{call}")
                except psycopg.Error as error:
                    found_problems += [f"{call} calls what its caller puts in its way"] if "evil" in str(error) else []
        with acting(admin, BUILDER):
            admin.execute("set local search_path = evil, pg_catalog")
            for statement in (
                "create table marts.taken (tenant_id text)",
                "select * from guard.end_long_sessions('9 h', '9 h', '9 h', 1099511627776, 1)",
            ):
                try:
                    with admin.transaction():
                        admin.execute(statement.encode())
                except psycopg.errors.UndefinedFunction:
                    # The attack asks for what is not there, and so attacks nothing.
                    raise
                except psycopg.Error as error:
                    found_problems += (
                        [f"{statement} calls what its caller puts in its way"] if "evil" in str(error) else []
                    )
    return found_problems


def new_objects_are_not_open(admin: Admin) -> list[str]:
    """New functions, tables and views of each role: default rights, and the guard behind each way to make a table."""
    found_problems = []
    for role, schema in (
        (OWNER, "billing"),
        (OWNER, "guard"),
        (READER, "api"),
        (BUILDER, "marts"),
        (BUILDER, "staging"),
    ):
        with acting(admin, role):
            admin.execute(f"create function {schema}.fresh() returns int language sql as 'select 1'".encode())
            open_to = [
                login
                for login in (ANALYST, API)
                if rows(admin, f"select has_function_privilege('{login}', '{schema}.fresh()', 'execute')")[0][0]
            ]
            found_problems += [f"{login} may call a new function of {role} in {schema}" for login in open_to]
    for role, schema in [(OWNER, one) for one in STATIC if one != "api"] + [
        (READER, "api"),
        (BUILDER, "marts"),
        (BUILDER, "staging"),
    ]:
        with acting(admin, role):
            admin.execute(f"create table {schema}.fresh (tenant_id text)".encode())
            for login in (ANALYST, API, READER, BUILDER):
                verbs = {"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"}
                may = {
                    verb
                    for verb in verbs
                    if rows(admin, f"select has_table_privilege('{login}', '{schema}.fresh', '{verb}')")[0][0]
                }
                right = {"SELECT"} if (login, schema) == (ANALYST, "marts") else set()
                if login == BUILDER and schema in {"billing", "value", "audit", "inbox"}:
                    right = {"SELECT", "INSERT", "UPDATE", "DELETE"}
                if may - right and login != role:
                    found_problems.append(f"{login} may {sorted(may - right)} a new table in {schema}")
    return found_problems + _guarded(admin)


_WAYS = (
    "create table marts.fresh as select * from marts.probe",
    "select * into marts.fresh from marts.probe",
    "create table marts.fresh (tenant_id text, secret text); insert into marts.fresh select * from marts.probe",
    (
        "create table marts.fresh (t text, secret text); alter table marts.fresh add tenant_id text;"
        " insert into marts.fresh select tenant_id, secret, tenant_id from marts.probe"
    ),
    (
        "create table staging.fresh as select * from marts.probe; alter table staging.fresh set schema marts;"
        " grant select on marts.fresh to valueverse_analyst"
    ),
    "create table marts.fresh as select * from marts.probe; alter table marts.fresh disable row level security",
    "create view marts.fresh as select * from marts.probe",
    "create view marts.fresh as select * from marts.probe; alter view marts.fresh reset (security_invoker)",
    (
        "create view staging.fresh as select * from marts.probe; alter view staging.fresh set schema marts;"
        " grant select on marts.fresh to valueverse_analyst"
    ),
)


def _guarded(admin: Admin) -> list[str]:
    found_problems = []
    for way in _WAYS:
        with admin.transaction(force_rollback=True):
            admin.execute("set local role valueverse_builder")
            admin.execute(way.encode())
            admin.execute("reset role")
            with acting(admin, ANALYST):
                if secret_of(OTHER) in str(rows(admin, "select * from marts.fresh")):
                    found_problems.append(f"an analyst sees all of it after: {way}")
            if rows(
                admin,
                "select 1 from pg_class where oid = 'marts.fresh'::regclass and relkind = 'r'"
                " and not relforcerowsecurity",
            ):
                found_problems.append(f"not forced after: {way}")
    matview = "create materialized view marts.fresh as select * from marts.probe"
    moved = "create materialized view staging.held as select * from marts.probe;"
    moved += " alter materialized view staging.held set schema marts"
    return found_problems + not_refused(admin, BUILDER, [matview, moved], "show every tenant", "feature_not_supported")


_PARTS = ("invoice_line", "invoice_credit", "invoice_discount", "invoice_tax")


def what_was_written_stays(admin: Admin) -> list[str]:
    """Every way to change it, for a superuser and a replication role."""
    found_problems = []
    trigger = "exists (select from pg_trigger t where t.tgrelid = c.oid and t.tgname = 'insert_only')"
    insert_only = relations(admin, f"c.relkind = 'r' and {trigger}")
    wanted = ("audit.entry", "billing.invoice_void", "billing.journal_entry", "billing.journal_posting",
              "billing.rerating", "value.commit", "value.approval", "value.run", "value.result", "value.proposal",
              "value.verdict", "value.closing", "value.commit_event")  # fmt: skip
    found_problems += [f"{name} is not insert-only" for name in wanted if name not in insert_only]
    expected = {}
    for name in sorted({*insert_only, *wanted}):
        expected[f"update {name} set tenant_id = tenant_id where false"] = f"{name}:"
        expected[f"delete from {name} where false"] = f"{name}:"
        expected[f"truncate {name} cascade"] = f"{name}:"
    for name in ("billing.invoice", "billing.invoice_sequence", *(f"billing.{one}" for one in _PARTS)):
        expected[f"truncate {name} cascade"] = f"{name}:"
    expected |= {
        "update billing.invoice set due_on = '2024-01-01' where number = 'INV-2'": "of finalised invoice",
        "delete from billing.invoice where number = 'INV-2'": "of finalised invoice",
        "update billing.invoice_sequence set last_sequence = 0": "cannot go back",
        "delete from billing.invoice_sequence": "billing.invoice_sequence",
    }
    for one in _PARTS:
        place = "line_no" if one == "invoice_line" else "position"
        expected[f"update billing.{one} set {place} = 9 where invoice_id = '{INVOICE}'"] = "of a line of finalised"
        expected[f"update billing.{one} set invoice_id = '{INVOICE}', {place} = 9 where invoice_id <> '{INVOICE}'"] = (
            "of a line of finalised"
        )
        moved = f"update billing.{one} set invoice_id = '{DRAFT}', {place} = 9 where invoice_id = '{INVOICE}'"
        expected[moved] = "of a line of finalised"
        expected[f"delete from billing.{one} where invoice_id = '{INVOICE}'"] = "of a line of finalised"
        expected[_NEW_LINE.format(one=one, place=place)] = "new line of finalised"
    expected[_NUMBER.format(sequence=4, previous="'x'")] = "leaves a gap"
    expected[_NUMBER.format(sequence=3, previous="'forged'")] = "chain hash"
    expected[_INSERTED] = "leaves a gap"
    expected[_POSTING] = "does not balance"
    for replica in (False, True):
        for statement, part in expected.items():
            with admin.transaction(force_rollback=True):
                if replica:
                    admin.execute("set local session_replication_role = replica")
                try:
                    with admin.transaction():
                        admin.execute(statement.encode())
                    found_problems.append(f"goes through{' for a replica' if replica else ''}: {statement}")
                except psycopg.Error as error:
                    if part not in str(error):
                        found_problems.append(f"{statement}: {error}")
    return found_problems


# In a later transaction than the invoice's own; the world was seeded in an earlier one.
_NEW_LINE = (
    "insert into billing.{one} select (populated).* from (select"
    " jsonb_populate_record(found, jsonb_build_object('{place}', 8)) as populated"
    " from billing.{one} as found where invoice_id = '22222222-2222-2222-2222-222222222222') as made"
)
_NUMBER = (
    "update billing.invoice set status = 'finalised', number = 'INV-' || {sequence}, sequence = {sequence},"
    " content_hash = 'c', previous_hash = {previous}, chain_hash = 'h', finalised_at = now()"
    " where tenant_id = 'acme' and status = 'draft'"
)
_INSERTED = (
    "insert into billing.invoice select (populated).* from (select"
    ' jsonb_populate_record(found, \'{"sequence": 7, "number": "INV-7",'
    ' "revision": 5, "invoice_id": "55555555-5555-5555-5555-444444444444", "previous_hash": "x"}\') as populated'
    " from billing.invoice as found where tenant_id = 'acme' and number = 'INV-1') as made"
)
_POSTING = (
    "with entry as (insert into billing.journal_entry (tenant_id, entry_id, kind, reference, date, currency,"
    " revision, booked_at) values ('acme', repeat('a', 64), 'invoice', 'r', '2024-01-01', 'USD', 0, now())"
    " returning entry_id)"
    " insert into billing.journal_posting (tenant_id, entry_id, position, account, amount_minor, currency)"
    " select 'acme', entry_id, 1, 'cash', 5, 'USD' from entry"
)
