"""Attacks on the functions of schema ``api``, on what protects written rows, and on new objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from tests.attacks.on_rights import API, BUILDER, OWNER, READER, STATIC, acting, not_refused, relations, rows
from tests.attacks.world import ANALYST, DRAFT, FAMILY, INVOICE, OTHER, OWN, secret_of

if TYPE_CHECKING:
    Admin = psycopg.Connection[Any]

OF_BIRCH = "00000000-0000-4000-8000-00000000000b"
"""A family that tenant birch alone has."""
_ROTATED = f"[('rotated', UUID('{DRAFT}'), 'k1', [], None)]"
_ENDED = f"[('ended', UUID('{FAMILY}'), 'k2', [], None)]"
_UNKNOWN_KEY = "[('unknown', None, None, None, None, None, None)]"
CALLS: dict[str, str | None] = {
    "ready()": "[(True,)]",
    "invoice('acme', 'INV-1')": "[('zz-acme-only', False)]",
    "invoices('acme', null, null, null, null, null, null, null, 100)": None,
    "invoices('acme', 'c1', 'finalised', null, '2024-01-01', '2024-02-01', null, null, 100)": None,
    "invoice_parties('acme', 'c1')": None,
    "invoice_parties('acme', 'only birch')": None,
    "invoice_catalog('acme', 'h')": "[('\"zz-acme-only\"',)]",
    "invoice_catalog('acme', 'only birch')": "[]",
    "invoice_history('acme', 'INV-1')": None,
    "invoice_history('acme', 'only birch')": "[]",
    "customers('acme', null, 100)": None,
    "rejected_events('acme', null, null, 100)": None,
    "audit_entries('acme', null, null, 100)": None,
    "audit_entries('acme', null, 'only birch', 100)": "[]",
    "audit_leaves('acme', null)": None,
    "customer_known('acme', 'c1')": "[(True,)]",
    "customer_known('acme', 'only birch')": "[(False,)]",
    "usage('acme', 'c1', null, null, null, null, null, null, null, 100)": None,
    "api_key('k1', 'h acme')": "[('acme', [])]",
    "api_key('k1', 'wrong')": "[]",
    "api_key('nothing', 'h acme')": "[]",
    "api_key('k2', 'revoked acme')": "[]",
    f"open_session('acme', 'k1', '{FAMILY}', 'new', '1 h', '1 h')": None,
    f"open_session('acme', 'k2', '{FAMILY}', 'new', '1 h', '1 h')": None,
    f"open_session('acme', 'only birch', '{FAMILY}', 'new', '1 h', '1 h')": None,
    "refresh_session('acme', 'open', 'new', '1 h', '0 s')": f"[('rotated', UUID('{FAMILY}'), 'k1', [], None)]",
    "refresh_session('acme', 'used', 'new', '1 h', '0 s')": f"[('reused', UUID('{FAMILY}'), 'k1', [], None)]",
    "refresh_session('acme', 'of another family', 'new', '1 h', '0 s')": _ROTATED,
    "refresh_session('acme', 'expired', 'new', '1 h', '0 s')": f"[('ended', UUID('{FAMILY}'), 'k1', [], None)]",
    "refresh_session('acme', 'of a revoked key', 'new', '1 h', '0 s')": _ENDED,
    "refresh_session('acme', 'only birch', 'new', '1 h', '0 s')": "[('unknown', None, None, None, None)]",
    f"close_session('acme', '{FAMILY}')": None,
    f"create_portal_link('acme', '{FAMILY}', 'c1', 'made', '1 h', 'k1', '')": "[('made',)]",
    f"create_portal_link('acme', '{FAMILY}', 'only birch', 'made', '1 h', 'k1', '')": "[('unknown',)]",
    f"create_portal_link('acme', '{OF_BIRCH}', 'c1', 'made', '1 h', 'k1', '')": "[('ended',)]",
    f"open_portal_session('acme', 'link', '{FAMILY}', 'new', '1 h', '1 h', '')": "[('c1', 'k1')]",
    f"open_portal_session('acme', 'used', '{FAMILY}', 'new', '1 h', '1 h', '')": "[]",
    f"open_portal_session('acme', 'old', '{FAMILY}', 'new', '1 h', '1 h', '')": "[]",
    f"open_portal_session('acme', 'of a revoked key', '{FAMILY}', 'new', '1 h', '1 h', '')": "[]",
    f"open_portal_session('acme', 'only birch', '{FAMILY}', 'new', '1 h', '1 h', '')": "[]",
    "portal_invoice('acme', 'c1', 'INV-1')": "[('zz-acme-only', False)]",
    "portal_invoice('acme', 'only acme', 'INV-1')": "[]",
    "portal_invoices('acme', 'c1', null, null, null, null, null, null, null, 100)": None,
    "portal_invoices('acme', 'only acme', null, null, null, null, null, null, null, 100)": "[]",
    "portal_invoices('acme', 'c1', 'only acme', null, null, null, null, null, null, 100)": "[]",
    "portal_invoice_parties('acme', 'c1', 'c1')": None,
    "portal_invoice_parties('acme', 'only acme', 'c1')": "[]",
    "portal_invoice_catalog('acme', 'c1', 'h')": "[]",
    "portal_invoice_history('acme', 'c1', 'INV-1')": None,
    "portal_invoice_history('acme', 'only acme', 'INV-1')": "[]",
    "portal_customer_known('acme', 'c1', 'c1')": "[(True,)]",
    "portal_customer_known('acme', 'only acme', 'c1')": "[(False,)]",
    "portal_usage('acme', 'c1', 'c1', null, null, null, null, null, null, null, 100)": None,
    "portal_usage('acme', 'only acme', 'c1', null, null, null, null, null, null, null, 100)": "[]",
    "api_keys('acme', null, null, 100)": None,
    f"create_api_key('acme', '{FAMILY}', 'made', 'h', '{{admin}}', 'n', null, 'k1', '')": None,
    f"create_api_key('acme', '{OF_BIRCH}', 'made', 'h', '{{admin}}', 'n', null, 'k1', '')": "[]",
    f"rotate_api_key('acme', '{FAMILY}', 'k1', 'made', 'h', '1 h', 'k1', '')": None,
    f"rotate_api_key('acme', '{FAMILY}', 'only birch', 'made', 'h', '1 h', 'k1', '')": _UNKNOWN_KEY,
    f"rotate_api_key('acme', '{OF_BIRCH}', 'k1', 'made', 'h', '1 h', 'k1', '')": _UNKNOWN_KEY.replace(
        "unknown", "ended"
    ),
    f"revoke_api_key('acme', '{FAMILY}', 'k1', 'k1', '')": "[('revoked',)]",
    f"revoke_api_key('acme', '{FAMILY}', 'only birch', 'k1', '')": "[('unknown',)]",
    f"revoke_api_key('acme', '{OF_BIRCH}', 'k1', 'k1', '')": "[('ended',)]",
    "event_invoices('acme', '2024-01-15Z')": None,
    "event_corrections('acme', '2024-01-15Z')": "[]",
    "event_unchanged('acme', '2024-01-15Z')": None,
    "event_lines('acme', 's1', 'k', '2024-01-15Z', '2024-01-01Z')": "[]",
    "event_rejection('acme', 's', 'e1')": "[('r', 'zz-acme-only')]",
    "event_waiting('acme', '0123456789abcdef')": None,
    "prior_invoices('acme', 'c1', null)": None,
    "prior_lines('acme', 'c1', '2024-01-01Z', null)": "[]",
    f"prior_lines('acme', 'c1', null, array['{INVOICE}']::uuid[])": None,
    "prior_deductions('acme', 'c1', null)": None,
    "prior_recomputed('acme', 'c1', null)": None,
    "prior_reratings('acme', 'c1', null)": None,
    "prior_proposals('acme', 'c1', null, 'infinity')": None,
    "prior_invoices('acme', 'only birch', null)": "[]",
    "prior_watermark('acme', 'only birch', null, 'infinity')": "[('0/0/0/0',)]",
    f"receive_events('acme', '{FAMILY}', '2024-01-01Z', 'b', 1, 1, 'k', 'r', 'k1', '', true)": "[('',)]",
    "waiting_requests('acme')": None,
    "value_models('acme', null, 100)": None,
    "value_model('acme', 'm', null)": None,
    "value_model('acme', 'only birch', null)": "[]",
    "store_value_model('acme', 'only birch', null, 'text', repeat('0', 64), 'k1', '')": None,
    "begin_write('acme', sha256('only birch'), sha256('f'))": "[('new', None, None)]",
    "begin_write('acme', sha256('k'), sha256('f'))": "[('answered', 201, b'zz-acme-only')]",
    "begin_write('acme', sha256('k'), sha256('other'))": "[('mismatch', None, None)]",
    "keep_answer('acme', sha256('new'), sha256('f'), 201, 'a')": "[('',)]",
}
"""Calls of tenant acme, where birch has the same keys, and what they give where it is a short thing."""

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
select 'link ' || link_hash, null, customer, used_at is null, '' from auth.portal_link where tenant_id = %s order by 1
"""
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
        return given, str(rows(admin, _STATE, *[OWN] * 3)), str(rows(admin, _STATE, *[OTHER] * 3))


def functions_filter_by_themselves(admin: Admin) -> list[str]:
    """With policies, and without any: the same answers, none of another tenant's."""
    found_problems = []
    before = str(rows(admin, _STATE, *[OTHER] * 3))
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
