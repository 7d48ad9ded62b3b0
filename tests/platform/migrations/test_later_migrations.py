"""The newest migrations go down and up with rows in what they made or changed: what is not theirs stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from psycopg import sql

from tests.support import billing_rows
from valueverse.platform import warehouse
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.queries import value_of, values_of
from valueverse.services.audit.sign_log import sign_log
from valueverse.services.audit.verify_log import verified_logs

if TYPE_CHECKING:
    import psycopg

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
BATCH = """
    insert into inbox.batch (tenant_id, receipt, received_at, body, events, expanded, key_hashes, has_billing,
        application, offsets)
    select tenant, gen_random_uuid(), now(), body, 1, 1, sha256('k'), false, application, offsets
      from unnest(%s::text[]) as tenant
     cross join (values ('\\x00'::bytea, null, null), (null, 'topic/0', array[7])) as at (body, application, offsets)"""
EARLIER = """
    insert into billing.earlier_state (tenant_id, kind, key, customer, held_until, state)
    select tenant, 'tenant', tenant, null, now(), '{}' from unnest(%s::text[]) as tenant"""
VOID = """
    insert into billing.invoice_void (tenant_id, invoice_id, reason, voided_at, recorded_at)
    select tenant_id, invoice_id, 'wrong', now(), now() from billing.invoice where tenant_id = %s and sequence = 1"""
USED = "update auth.api_key set used_at = now()"
THEIRS = {
    "0059": (),
    "0060": ("select body is null from inbox.batch order by 1",),
    "0061": ("select used_at is null from auth.api_key",),
    "0062": ("select count(*) from billing.earlier_state", "select recorded_at is null from billing.invoice_void"),
    "0063": ("select count(*) from audit.checkpoint", "select name from auth.answer_channel"),
    "0064": ("select known_since = recorded_at from billing.invoice_void",),
    "0065": (),
}
"""What asks for rows of tables and columns that a migration made."""
AFTER_ALL: dict[str, list[object]] = {
    "select body is null from inbox.batch order by 1": [False] * 3,
    "select used_at is null from auth.api_key": [True] * 3,
    "select count(*) from billing.earlier_state": [0],
    "select recorded_at is null from billing.invoice_void": [True],
    "select known_since = voided_at from billing.invoice_void": [True],
    "select count(*) from audit.checkpoint": [0],
}


def _counted(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Rows of each table of the schemas that hold tenants' rows."""
    tables = values_of(
        connection,
        "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'p') and n.nspname in ('billing', 'inbox', 'auth', 'audit', 'value') order by 1",
    )
    asked = sql.SQL("select count(*) from {}")
    return {one: value_of(connection, asked.format(sql.Identifier(*one.split(".")))) for one in tables}


def test_the_newest_migrations_go_down_and_up_with_rows_and_lose_theirs_alone(settings: Settings) -> None:
    billing_rows.seed(settings)
    with warehouse.connect(settings, "builder") as connection:
        for tenant in billing_rows.TENANTS:
            issue_api_key(connection, tenant)
    sign_log(settings, whole=True)
    with warehouse.connect(settings, "admin") as connection:
        for statement in (BATCH, EARLIER):
            connection.execute(statement.encode(), [list(billing_rows.TENANTS)])
        connection.execute(VOID, ["acme"])
        connection.execute(USED)
        before = _counted(connection)
        assert all(values_of(connection, question) for questions in THEIRS.values() for question in questions)
        channel = value_of(connection, "select name from auth.answer_channel")
    assert min(before[name] for name in ("inbox.batch", "billing.earlier_state", "audit.checkpoint")) >= 3
    for number in sorted(THEIRS, reverse=True):
        warehouse.downgrade(settings, f"{int(number) - 1:04}")
    with warehouse.connect(settings, "admin") as connection:
        below = _counted(connection)
    gone = {"billing.earlier_state", "audit.checkpoint", "auth.answer_channel"}
    assert before.keys() - below.keys() == gone
    assert {name for name, rows in below.items() if rows != before[name]} == {"inbox.batch"}
    warehouse.upgrade(settings)
    with warehouse.connect(settings, "admin", autocommit=True) as connection:
        assert {question: values_of(connection, question) for question in AFTER_ALL} == AFTER_ALL
        drawn = value_of(connection, "select name from auth.answer_channel")
        assert drawn != channel
        connection.execute(sql.SQL("listen {}").format(sql.Identifier(drawn)))
        connection.execute(VOID, ["birch"])
        assert len(list(connection.notifies(timeout=0.2))) == 1
    # What was signed is in the files outside; the entries are what they were.
    assert [found for _, found in verified_logs(settings, billing_rows.TENANTS)] == [[], [], []]
