"""Migration 0001: goes up and down, keeps what is finalised, guards every new table."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg import errors

from valueverse.platform import warehouse
from valueverse.platform.access import analysts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

INVOICE = """
    insert into billing.invoice (
        tenant_id, invoice_id, status, customer, subscription, currency, period_from, period_to, invoice_type,
        issued_on, subtotal_minor, discount_total_minor, tax_total_minor, total_minor, credit_total_minor,
        amount_due_minor)
    values (%(tenant)s, %(id)s, 'draft', 'c', %(subscription)s, 'USD', '2024-01-01', '2024-02-01', 'period',
        '2024-02-02', 100, 0, 0, 100, 0, 100)
"""
LINE = """
    insert into billing.invoice_line (tenant_id, invoice_id, line_no, key, kind, description, amount_precise,
        amount_minor, currency)
    values (%(tenant)s, %(id)s, %(line)s, 'k', 'fee', 'd', 1, 100, 'USD')
"""
FINALISE = """
    update billing.invoice
       set status = 'finalised', number = 'INV-' || %(sequence)s, sequence = %(sequence)s, content_hash = 'c',
           previous_hash = %(previous)s, chain_hash = %(chain)s, finalised_at = now()
     where tenant_id = %(tenant)s and invoice_id = %(id)s
"""
MOVED = """
    update billing.invoice_line set invoice_id = '00000000-0000-0000-0000-000000000001', line_no = 9
     where invoice_id = '00000000-0000-0000-0000-000000000002'
"""
Connection = psycopg.Connection[Any]


def uuid(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


def draft(connection: Connection, number: int, tenant: str = "acme") -> None:
    connection.execute(INVOICE, {"tenant": tenant, "id": uuid(number), "subscription": f"s{number}"})
    connection.execute(LINE, {"tenant": tenant, "id": uuid(number), "line": 1})


def finalise(connection: Connection, number: int, sequence: int, previous: str | None, tenant: str = "acme") -> None:
    given = {
        "tenant": tenant,
        "id": uuid(number),
        "sequence": sequence,
        "previous": previous,
        "chain": f"h{sequence}",
    }
    connection.execute(FINALISE, given)


@pytest.fixture(scope="module")
def admin(module_settings: Settings) -> Iterator[Connection]:
    with warehouse.connect(module_settings, "admin", autocommit=True) as connection:
        yield connection


@pytest.fixture
def world(admin: Connection) -> Iterator[Connection]:
    """The administrator, a superuser, with one finalised invoice and one draft; rolled back afterwards."""
    with admin.transaction(force_rollback=True):
        draft(admin, 1)
        draft(admin, 2)
        finalise(admin, 1, 1, None)
        yield admin


def refused(connection: Connection, statement: str, error: type[psycopg.Error] = errors.RestrictViolation) -> str:
    with pytest.raises(error) as caught, connection.transaction():
        connection.execute(statement)  # type: ignore[arg-type]
    return str(caught.value)


def test_migrations_go_down_and_up_again(settings: Settings) -> None:
    latest = warehouse.revision(settings)
    warehouse.downgrade(settings, "base")
    assert warehouse.revision(settings) is None
    with warehouse.connect(settings, "admin") as connection:
        left = connection.execute(
            "select nspname from pg_namespace where nspname in ('billing', 'marts', 'guard')"
        ).fetchall()
    assert left == []
    warehouse.upgrade(settings)
    warehouse.upgrade(settings)
    assert warehouse.revision(settings) == latest


@pytest.mark.parametrize(
    "statement",
    [
        "update billing.invoice set total_minor = 1, subtotal_minor = 1, amount_due_minor = 1",
        "update billing.invoice set status = 'draft', number = null, sequence = null, finalised_at = null",
        "delete from billing.invoice where sequence = 1",
        "truncate billing.invoice cascade",
        "update billing.invoice_line set amount_minor = 0",
        "delete from billing.invoice_line",
        "truncate billing.invoice_line",
        MOVED,
        "update billing.invoice_sequence set last_sequence = 0",
        "delete from billing.invoice_sequence",
        "truncate billing.invoice_sequence",
        "update billing.invoice_void set reason = 'x'",
        "delete from billing.invoice_void",
        "truncate billing.invoice_void",
    ],
)
@pytest.mark.parametrize("role", ["valueverse_admin", "valueverse_owner", "valueverse_builder", "replica"])
def test_what_is_finalised_stays_for_every_role(world: Connection, statement: str, role: str) -> None:
    if "invoice_void" in statement:
        world.execute("insert into billing.invoice_void values ('acme', %s, 'wrong', now())", (uuid(1),))
    world.execute("insert into billing.invoice_sequence values ('acme', 1, 'h1')")
    if role == "replica":
        world.execute("set local session_replication_role = replica")
    elif role == "valueverse_builder":
        world.execute("set local role valueverse_builder")
        refused(world, statement, psycopg.Error)
        return
    elif role == "valueverse_owner":
        # Forced row-level security would hide the rows from their owner anyway: look behind it.
        world.execute("alter role valueverse_owner bypassrls")
        world.execute("set local role valueverse_owner")
    refused(world, statement)


def test_a_line_is_added_to_a_finalised_invoice_only_by_the_transaction_that_wrote_it(
    settings: Settings,
) -> None:
    with warehouse.connect(settings, "admin") as connection:
        draft(connection, 1)
        finalise(connection, 1, 1, None)
        connection.execute(LINE, {"tenant": "acme", "id": uuid(1), "line": 2})
        with connection.transaction():  # a savepoint has a transaction id of its own
            draft(connection, 2)
            finalise(connection, 2, 2, "h1")
        connection.execute(LINE, {"tenant": "acme", "id": uuid(2), "line": 2})
        connection.commit()
        for role in ("valueverse_admin", "valueverse_builder"):
            connection.execute(f"set local role {role}".encode())
            for number in (1, 2):
                with pytest.raises(errors.RestrictViolation, match="new line"), connection.transaction():
                    connection.execute(LINE, {"tenant": "acme", "id": uuid(number), "line": 3})


def test_a_draft_may_change_and_go_with_its_lines(world: Connection) -> None:
    world.execute("update billing.invoice set due_on = '2024-03-01' where status = 'draft'")
    world.execute("delete from billing.invoice where invoice_id = %s", (uuid(2),))
    assert world.execute("select count(*) from billing.invoice_line").fetchone() == (1,)


def test_a_number_after_a_gap_is_refused(world: Connection) -> None:
    with pytest.raises(errors.CheckViolation, match="leaves a gap"):
        finalise(world, 2, 3, "h2")


def test_a_number_with_a_forged_chain_is_refused(world: Connection) -> None:
    with pytest.raises(errors.CheckViolation, match="chain hash"):
        finalise(world, 2, 2, "forged")


def test_a_number_given_twice_is_refused(world: Connection) -> None:
    with pytest.raises(errors.UniqueViolation):
        finalise(world, 2, 1, None)


def test_the_next_number_is_taken(world: Connection) -> None:
    finalise(world, 2, 2, "h1")


def test_one_statement_may_finalise_many(world: Connection) -> None:
    draft(world, 3)
    world.execute(
        """update billing.invoice as target
              set status = 'finalised', number = 'INV-' || next.sequence, sequence = next.sequence,
                  content_hash = 'c', previous_hash = 'h' || next.sequence - 1,
                  chain_hash = 'h' || next.sequence, finalised_at = now()
             from (select invoice_id, row_number() over (order by invoice_id) + 1 as sequence
                     from billing.invoice where status = 'draft') as next
            where target.invoice_id = next.invoice_id"""
    )
    assert world.execute("select max(sequence) from billing.invoice").fetchone() == (3,)


def test_a_finalised_invoice_needs_its_number_and_a_draft_has_none(world: Connection) -> None:
    refused(world, "update billing.invoice set status = 'finalised' where status = 'draft'", errors.CheckViolation)
    refused(world, "update billing.invoice set number = 'X' where status = 'draft'", errors.CheckViolation)


def test_numbers_are_the_tenants_own(world: Connection) -> None:
    draft(world, 3, tenant="other")
    finalise(world, 3, 1, None, tenant="other")


def test_a_line_of_one_tenant_cannot_hang_on_anothers_invoice(world: Connection) -> None:
    with pytest.raises(errors.ForeignKeyViolation):
        world.execute(LINE, {"tenant": "other", "id": uuid(2), "line": 2})


def test_every_key_of_every_table_starts_with_the_tenant(admin: Connection) -> None:
    rows = admin.execute(
        """select c.conrelid::regclass::text, c.conname from pg_constraint c
             join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
             join pg_namespace n on n.oid = c.connamespace
            where n.nspname in ('billing', 'inbox', 'auth', 'audit', 'value')
              and c.contype in ('p', 'u', 'f') and a.attname <> 'tenant_id'
            union all
           select i.indrelid::regclass::text, i.indexrelid::regclass::text from pg_index i
             join pg_class t on t.oid = i.indrelid join pg_namespace n on n.oid = t.relnamespace
             join pg_attribute a on a.attrelid = t.oid and a.attnum = i.indkey[0]
            where n.nspname in ('billing', 'inbox', 'auth', 'audit', 'value') and a.attname <> 'tenant_id'"""
    ).fetchall()
    assert rows == []


def policies(connection: Connection, pattern: str = "%") -> dict[str, tuple[bool, bool, list[str]]]:
    """(enabled, forced, policies) of every table with a tenant_id."""
    rows = connection.execute(
        """select c.oid::regclass::text, c.relrowsecurity, c.relforcerowsecurity,
                  array(select polname::text from pg_policy where polrelid = c.oid order by 1)
             from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'p') and n.nspname not like 'pg_%%' and c.oid::regclass::text like %s
              and exists (select from pg_attribute a
                           where a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped)""",
        (pattern,),
    ).fetchall()
    return {row[0]: (row[1], row[2], row[3]) for row in rows}


def test_every_table_with_a_tenant_has_forced_row_level_security(admin: Connection) -> None:
    found = policies(admin)
    assert len(found) >= 18
    assert [name for name, (enabled, forced, _) in found.items() if not (enabled and forced)] == []


@pytest.fixture
def builder(module_settings: Settings) -> Iterator[Connection]:
    with warehouse.connect(module_settings, "builder") as connection:
        yield connection
        connection.rollback()


WHOLE = "create table marts.whole (tenant_id text) partition by hash (tenant_id); "


@pytest.mark.security
@pytest.mark.parametrize(
    "statement",
    [
        "create table marts.probe (tenant_id text)",
        "create table marts.probe as select 'acme'::text as tenant_id",
        "select 'acme'::text as tenant_id into marts.probe",
        "create table marts.probe (other int); alter table marts.probe add tenant_id text",
        "create table staging.probe (tenant_id text); alter table staging.probe set schema marts",
        "create table marts.draft (tenant_id text); alter table marts.draft rename to probe",
        "create table marts.probe (tenant_id text); alter table marts.probe no force row level security",
        "create table marts.probe (tenant_id text); alter table marts.probe disable row level security",
        WHOLE + "create table marts.probe partition of marts.whole for values with (modulus 2, remainder 0)",
        WHOLE + "create table marts.probe (tenant_id text); alter table marts.whole"
        " attach partition marts.probe for values with (modulus 2, remainder 0)",
    ],
)
def test_the_guard_puts_policies_on_every_new_table(builder: Connection, statement: str) -> None:
    builder.execute(statement)  # type: ignore[arg-type]
    assert policies(builder, "marts.probe") == {"marts.probe": (True, True, ["analyst_tenant"])}


@pytest.mark.security
def test_a_view_in_marts_becomes_security_invoker_and_a_materialised_one_is_refused(
    builder: Connection,
) -> None:
    builder.execute("create view marts.probe as select 1 as one; alter view marts.probe reset (security_invoker)")
    assert builder.execute("select reloptions from pg_class where relname = 'probe'").fetchone() == (
        ["security_invoker=true"],
    )
    with pytest.raises(errors.FeatureNotSupported):
        builder.execute("create materialized view marts.held as select 1 as one")


def test_dbt_may_drop_and_swap_what_it_built(builder: Connection) -> None:
    builder.execute("create table marts.a (tenant_id text) partition by list (tenant_id)")
    builder.execute("create table marts.a_1 partition of marts.a for values in ('acme')")
    builder.execute("alter table marts.a detach partition marts.a_1")
    builder.execute("drop table marts.a_1")
    builder.execute("alter table marts.a rename to a_old")
    builder.execute("drop table marts.a_old cascade")


def test_lines_written_before_links_were_columns_get_them_and_stay_immutable(settings: Settings) -> None:
    warehouse.downgrade(settings, "0020")
    written = (
        (1, "outcome", "value model m, commit c, run r, proposal s/share/2024-01, v 2"),
        (2, "usage", "less what threshold invoices of the period bore"),
        (3, "usage", None),
        (4, "adjustment", "2 events more than booked; 3 in all less 1 booked before"),
    )
    with warehouse.connect(settings, "admin", autocommit=True) as admin, admin.transaction():
        before = INVOICE.replace("invoice_type", "purpose")
        admin.execute(before.encode(), {"tenant": "acme", "id": uuid(1), "subscription": "s1"})
        for number, kind, explains in written:
            admin.execute(LINE, {"tenant": "acme", "id": uuid(1), "line": number})
            admin.execute(
                "update billing.invoice_line set kind = %s, explains = %s, corrects = %s where line_no = %s",
                [kind, explains, uuid(9) if kind == "adjustment" else None, number],
            )
        finalise(admin, 1, 1, None)
    warehouse.upgrade(settings)
    with warehouse.connect(settings, "admin", autocommit=True) as admin:
        links = admin.execute("select proposal, is_difference from billing.invoice_line order by line_no").fetchall()
        assert links == [("s/share/2024-01, v 2", False), (None, True), (None, False), (None, False)]
        refused(admin, "update billing.invoice_line set proposal = null")
        refused(admin, "update billing.invoice_line set line_no = line_no + 10")
    warehouse.downgrade(settings, "0020")
    warehouse.upgrade(settings)


def test_rejected_events_are_asked_for_after_the_migration_went_down_and_up(settings: Settings) -> None:
    rejected = "insert into billing.rejected_event values ('acme', 's', 'e', 't', 'r', 'm', null, now())"
    with warehouse.connect(settings, "builder", autocommit=True) as builder:
        builder.execute(rejected)
        builder.execute("insert into billing.ignored_file values ('acme', 'acme/notes.txt', 'its ending', now())")
    warehouse.downgrade(settings, "0023")
    warehouse.upgrade(settings)
    with warehouse.connect(settings, "api") as login:
        query = "select event_id, reason from api.rejected_events(%s, null, null, 10)"
        assert login.execute(query, ["acme"]).fetchall() == [("e", "r")]
        assert login.execute(query, ["birch"]).fetchall() == []
        refused(login, "select * from billing.rejected_event", errors.InsufficientPrivilege)


@pytest.mark.security
def test_an_analyst_reads_the_mapped_tenants_marts_and_nothing_else(settings: Settings) -> None:
    name = f"t{secrets.token_hex(4)}"
    password = analysts.add(settings, name, ["acme"])
    assert password is not None
    assert analysts.add(settings, name, ["acme"]) is None
    with warehouse.connect(settings, "builder") as builder:
        builder.execute("create table marts.fct (tenant_id text, amount int)")
        builder.execute("insert into marts.fct values ('acme', 1), ('other', 2)")
    with warehouse.connect(settings, "admin") as admin:
        admin.execute("insert into guard.analyst_tenant values ('analyst_somebody', 'other')")
    try:
        url = psycopg.conninfo.make_conninfo(
            settings.postgres_url("admin"), user=analysts.role_name(name), password=password
        )
        with psycopg.connect(url, autocommit=True) as analyst:
            assert analyst.execute("select * from marts.fct").fetchall() == [("acme", 1)]
            assert analyst.execute("select tenant_id from guard.analyst_tenant").fetchall() == [("acme",)]
            for statement in (
                "select * from billing.invoice",
                "insert into guard.analyst_tenant values (session_user, 'other')",
                "update guard.analyst_tenant set tenant_id = 'other'",
                "set role valueverse_builder",
                "set session authorization valueverse_builder",
                "create table marts.mine (x int)",
                "create temp table mine (x int)",
                "select guard.protect('marts.fct'::regclass)",
                "alter table marts.fct disable row level security",
                "truncate marts.fct",
                "select pg_advisory_lock(1)",
                "select pg_try_advisory_xact_lock(1, 1)",
                "select pg_notify('any', 'payload')",
                "select lo_from_bytea(0, 'x')",
            ):
                refused(analyst, statement, psycopg.Error)
            analyst.execute("set row_security = off")
            refused(analyst, "select * from marts.fct", errors.InsufficientPrivilege)
    finally:
        analysts.remove(settings, name)


@pytest.mark.security
def test_the_api_login_reaches_no_table(settings: Settings) -> None:
    with warehouse.connect(settings, "api", autocommit=True) as connection:
        tables = connection.execute(
            "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname in ('billing', 'inbox', 'auth', 'audit', 'value', 'guard', 'queue', 'marts') and"
            " has_table_privilege(c.oid, 'select, insert, update, delete, truncate, references, trigger')"
        ).fetchall()
    assert tables == []
