"""One story of publications on a real warehouse: a chapter is a dbt run, a test reads what it left."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.billing_rows import TENANTS, money_in, release, seed
from tests.support.publishing import dbt, refused_dbt, start_dbt
from valueverse.platform.warehouse import connect
from valueverse.services.marts.attempts import Attempts

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

MARTS = {
    "dim_tenant": "tenant_id",
    "dim_customer": "customer_key",
    "dim_plan": "plan_key",
    "dim_subscription": "subscription_key",
    "fct_usage_daily": "usage_date",
    "fct_invoice": "invoice_number",
    "fct_invoice_line": "invoice_number, line_no",
    "fct_invoice_tax": "invoice_number, position_no",
    "fct_invoice_discount": "invoice_number, position_no",
    "fct_credit_use": "invoice_number, position_no",
    "fct_payment": "entry_id, posting_no",
    "fct_mrr_movement": "customer_key, mrr_month",
    "agg_retention_cohort": "cohort_month, mrr_month",
    "fct_receivables_aging": "aging_month, invoice_number",
    "fct_wallet_roll_forward": "wallet_key, wallet_month",
    "fct_journal": "entry_id, posting_no",
    "fct_revenue_schedule": "invoice_number, revenue_month",
    "fct_commitment": "commit_id",
    "fct_value_realised": "commit_id, value_month, output_name",
    "fct_unit_economics": "customer_key, value_month, currency",
    "ops_ingestion": "file",
    "ops_reconciliation": "period",
    "ops_rejected_event": "event_id",
}
Snapshot = dict[str, list[tuple[Any, ...]]]


@dataclass
class Story:
    settings: Settings
    first: Snapshot = field(default_factory=dict)
    corrected: Snapshot = field(default_factory=dict)
    chosen: Snapshot = field(default_factory=dict)
    together: Snapshot = field(default_factory=dict)
    refreshed: Snapshot = field(default_factory=dict)
    refreshed_schema: dict[str, Any] = field(default_factory=dict)
    first_schema: dict[str, Any] = field(default_factory=dict)
    build_output: str = ""
    seen_by_reader: set[tuple[int, str]] = field(default_factory=set)


@pytest.fixture(scope="module")
def story(module_settings: Settings) -> Story:
    built_story = Story(module_settings)
    seed(module_settings)
    money_in(module_settings)
    release(module_settings)

    built_story.build_output = dbt(module_settings, "build")
    built_story.first = _snapshot(module_settings)
    built_story.first_schema = _schema(module_settings)

    release(module_settings, "held", ("birch",))
    _run(
        module_settings,
        "delete from billing.usage_daily where tenant_id in ('acme', 'birch') and day < '2023-11-01'",
        "update billing.usage_daily set quantity = 11000 where tenant_id in ('acme', 'birch') and day = '2023-11-05'",
        "update billing.tenant set name = 'renamed' where tenant_id in ('acme', 'birch')",
    )
    dbt(module_settings, "run", "--select", "marts")
    built_story.corrected = _snapshot(module_settings)

    _run(
        module_settings,
        "update billing.usage_daily set quantity = quantity + 1 where tenant_id in ('acme', 'cedar')",
    )
    dbt(
        module_settings,
        "run",
        "--select",
        "marts",
        tenants=["cedar"],
        periods_from="2023-11",
        periods_to="2023-11",
    )
    built_story.chosen = _snapshot(module_settings)

    _run(module_settings, "update billing.usage_daily set quantity = 5 where tenant_id in ('acme', 'cedar')")
    built_story.seen_by_reader = _publish_twice_at_once(module_settings)
    built_story.together = _snapshot(module_settings)

    dbt(module_settings, "run", "--select", "marts", "--full-refresh")
    built_story.refreshed = _snapshot(module_settings)
    built_story.refreshed_schema = _schema(module_settings)
    return built_story


def test_every_model_test_and_unit_test_passes(story: Story) -> None:
    assert re.search(r"PASS=\d+ WARN=0 ERROR=0 SKIP=0", story.build_output)


def test_every_mart_holds_every_released_tenant(story: Story) -> None:
    for mart, rows in story.first.items():
        assert {row[0] for row in rows} == set(TENANTS), mart


def test_amounts_are_published_in_minor_and_major_units(story: Story) -> None:
    with connect(story.settings, "builder") as connection:
        rows = connection.execute(
            "select total_minor, total::text, invoice_month::text from marts.fct_invoice where tenant_id = "
            "'acme' order by 3"
        ).fetchall()
    assert rows == [(7112, "71.12", "2023-10-01"), (7112, "71.12", "2023-11-01")]


def test_what_is_owed_is_what_was_invoiced_less_what_was_paid(story: Story) -> None:
    with connect(story.settings, "builder") as connection:
        aging = connection.execute(
            "select as_of::text, due_on::text, days_overdue, age_bucket, outstanding::text "
            "from marts.fct_receivables_aging where tenant_id = 'acme'"
        ).fetchall()
        paid = connection.execute("select amount::text from marts.fct_payment where tenant_id = 'acme'").fetchall()
        held = connection.execute(
            "select opening_minor, purchased_minor, used_minor, closing::text from marts.fct_wallet_roll_forward "
            "where tenant_id = 'acme'"
        ).fetchall()
    assert aging == [("2023-11-30", "2023-11-01", 29, "1_to_30", "21.12")]
    assert paid == [("50.00",)]
    assert held == [(0, 2000, 0, "20.00")]


def test_a_slice_that_vanished_at_the_source_vanishes_from_the_mart(story: Story) -> None:
    assert _days(story.first, "acme") == {"2023-10-05", "2023-10-28", "2023-11-05", "2023-11-28"}
    assert _days(story.corrected, "acme") == {"2023-11-05", "2023-11-28"}


def test_a_held_tenant_keeps_its_last_good_version(story: Story) -> None:
    for snapshot in (story.corrected, story.chosen, story.together):
        for mart in MARTS:
            if not mart.startswith("ops_"):
                assert _of(snapshot, mart, "birch") == _of(story.first, mart, "birch"), mart


def test_rows_that_did_not_change_are_not_written(story: Story) -> None:
    for mart in MARTS:
        assert _of(story.corrected, mart, "cedar") == _of(story.first, mart, "cedar"), mart
    assert _of(story.corrected, "fct_invoice", "acme") == _of(story.first, "fct_invoice", "acme")
    untouched = {row for row in _of(story.first, "fct_usage_daily", "acme") if "2023-11-28" in row[2]}
    assert untouched <= set(_of(story.corrected, "fct_usage_daily", "acme"))
    assert _of(story.corrected, "dim_tenant", "acme") != _of(story.first, "dim_tenant", "acme")


def test_only_the_chosen_tenants_and_months_are_published(story: Story) -> None:
    assert _of(story.chosen, "fct_usage_daily", "acme") == _of(story.corrected, "fct_usage_daily", "acme")
    before, after = (_quantities(snapshot, "cedar") for snapshot in (story.corrected, story.chosen))
    assert {day for day in after if after[day] != before[day]} == {"2023-11-05", "2023-11-28"}


def test_two_runs_at_once_publish_once_and_a_reader_sees_whole_states(story: Story) -> None:
    assert set(_quantities(story.together, "acme").values()) == {"5.000000000000000000"}
    assert set(_quantities(story.together, "cedar").values()) == {"5.000000000000000000"}
    before = sum(float(quantity) for quantity in _quantities(story.chosen, "cedar").values())
    assert {total for _, total in story.seen_by_reader} <= {f"{before:.1f}", "20.0"}
    assert {rows for rows, _ in story.seen_by_reader} == {4}


def test_a_full_refresh_keeps_rows_contract_docs_keys_policies_and_grants(story: Story) -> None:
    for mart in MARTS:
        assert _values(story.refreshed, mart) == _values(story.together, mart), mart
    assert story.refreshed_schema == story.first_schema


def test_each_partition_has_forced_row_level_security_before_and_after_a_full_refresh(story: Story) -> None:
    for schema in (story.first_schema, story.refreshed_schema):
        for mart in MARTS:
            assert len(schema[mart]["partitions"]) == 16, mart
            assert set(schema[mart]["partitions"]) == {(True, True, None)}, mart


def test_a_delivery_before_the_first_month_is_shown_by_a_run_for_other_months(story: Story) -> None:
    counts = "'1970-01-01', 3, 1, 1, 1, 0, '1970-01-01Z'"
    _run(story.settings, f"insert into billing.ingestion_file values ('acme', 'early.ndjson', 'h', {counts})")
    dbt(story.settings, "run", "--select", "ops_ingestion", periods_from="2023-11", periods_to="2023-11")
    with connect(story.settings, "builder") as connection:
        rows = connection.execute("select tenant_id from marts.ops_ingestion where file = 'early.ndjson'").fetchall()
    assert rows == [("acme",)]


def test_more_tenants_are_left_out_than_an_argument_of_a_command_holds(story: Story) -> None:
    many = [f"t{number:04d}-".ljust(63, "x") for number in range(3_000)]
    _run(story.settings, "update billing.tenant set name = 'once more' where tenant_id in ('acme', 'cedar')")
    given = Attempts(story.settings, {}, "run-1", before=["cedar", *many]).as_vars()
    assert len(given) < 200
    dbt(story.settings, "run", "--select", "dim_tenant", **json.loads(given))
    with connect(story.settings, "builder") as connection:
        rows = connection.execute("select tenant_id from marts.dim_tenant where tenant_name = 'once more'").fetchall()
    assert rows == [("acme",)]


@pytest.mark.parametrize("name", ["'; drop table x; --", ["acme"]])
def test_a_set_of_tenants_that_is_no_name_is_refused(story: Story, name: str | list[str]) -> None:
    output = refused_dbt(story.settings, "run", "--select", "dim_tenant", left_out=name)
    assert "is not the name of a set" in output


def test_a_tenant_key_that_is_none_is_refused(story: Story) -> None:
    output = refused_dbt(story.settings, "run", "--select", "dim_tenant", tenants=["acme'; drop table x; --"])
    assert "is not a tenant key" in output


def test_every_model_and_column_is_described_and_every_model_has_a_tested_grain(story: Story) -> None:
    with connect(story.settings, "builder") as connection:
        undescribed = connection.execute(
            "select c.oid::regclass::text, a.attname from pg_class c join pg_attribute a on a.attrelid = "
            "c.oid "
            "where c.relnamespace = any(array['staging', 'intermediate', 'marts']::regnamespace[]) "
            "and c.relkind in ('v', 'p') and a.attnum > 0 and not a.attisdropped "
            "and (col_description(c.oid, a.attnum) is null or obj_description(c.oid) is null)"
        ).fetchall()
    assert undescribed == []


def _publish_twice_at_once(settings: Settings) -> set[tuple[int, str]]:
    runs = [start_dbt(settings, "run", "--select", "marts") for _ in range(2)]
    seen = set()
    with connect(settings, "builder", autocommit=True) as connection:
        while any(run.poll() is None for run in runs):
            row = connection.execute(
                "select count(*), sum(quantity)::numeric(20, 1)::text from marts.fct_usage_daily where "
                "tenant_id = 'cedar'"
            ).fetchone()
            assert row is not None
            seen.add((int(row[0]), str(row[1])))
            time.sleep(0.02)
    for run in runs:
        output = run.communicate()[0]
        assert run.returncode == 0, output
    return seen


def _run(settings: Settings, *statements: str) -> None:
    with connect(settings, "builder") as connection:
        for statement in statements:
            connection.execute(statement)


def _snapshot(settings: Settings) -> Snapshot:
    """Each mart's rows as (tenant, transaction that wrote it, row as text)."""
    with connect(settings, "builder") as connection:
        return {
            mart: connection.execute(
                f"select tenant_id, xmin::text, mart::text from marts.{mart} as mart order by tenant_id, {order}"
            ).fetchall()
            for mart, order in MARTS.items()
        }


def _schema(settings: Settings) -> dict[str, Any]:
    """What must survive a full refresh: columns, comments, keys, indexes, policies, grants, partitions."""
    queries = {
        "columns": "select a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, "
        "col_description(a.attrelid, a.attnum) from pg_attribute a "
        "where a.attrelid = %s::regclass and a.attnum > 0 order by a.attnum",
        "comment": "select obj_description(%s::regclass)",
        "keys": "select pg_get_constraintdef(oid) from pg_constraint where conrelid = %s::regclass order by 1",
        "indexes": r"select regexp_replace(pg_get_indexdef(indexrelid), 'INDEX \S+', 'INDEX') from pg_index "
        "where indrelid = %s::regclass order by 1",
        "policies": "select polname, pg_get_expr(polqual, polrelid), polroles::regrole[]::text "
        "from pg_policy where polrelid = %s::regclass",
        "grants": "select relacl::text, relkind from pg_class where oid = %s::regclass",
        "partitions": "select c.relrowsecurity, c.relforcerowsecurity, p.polname from pg_inherits i "
        "join pg_class c on c.oid = i.inhrelid left join pg_policy p on p.polrelid = c.oid where "
        "i.inhparent = %s::regclass",
    }
    with connect(settings, "builder") as connection:
        return {
            mart: {name: connection.execute(query, [f"marts.{mart}"]).fetchall() for name, query in queries.items()}
            for mart in MARTS
        }


def _of(snapshot: Snapshot, mart: str, tenant: str) -> list[tuple[Any, ...]]:
    return [row for row in snapshot[mart] if row[0] == tenant]


def _values(snapshot: Snapshot, mart: str) -> list[tuple[Any, ...]]:
    return [(tenant, text) for tenant, _, text in snapshot[mart]]


def _quantities(snapshot: Snapshot, tenant: str) -> dict[str, str]:
    rows = [
        re.search(r"(\d{4}-\d{2}-\d{2}).*,(\d+\.\d+),\d+,[a-z_]*,[tf]?\)$", row[2])
        for row in _of(snapshot, "fct_usage_daily", tenant)
    ]
    return {row[1]: row[2] for row in rows if row}


def _days(snapshot: Snapshot, tenant: str) -> set[str]:
    return set(_quantities(snapshot, tenant))
