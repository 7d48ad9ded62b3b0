"""An analyst of tenant acme tries to see a row or a value of birch or cedar."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.support.billing_rows import TENANTS, money_in, release, secret_of, seed
from tests.support.publishing import dbt
from valueverse.platform.access import analysts, manifest
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.security]

OWN = "acme"
OTHERS = [tenant for tenant in TENANTS if tenant != OWN]
ROOT = Path(__file__).parents[2]
COOKBOOK = ROOT / "docs" / "cookbook.md"


@pytest.fixture(scope="module")
def warehouse(module_settings: Settings) -> Settings:
    seed(module_settings)
    money_in(module_settings)
    release(module_settings)
    dbt(module_settings, "build", "--resource-type", "seed", "--resource-type", "model")
    dbt(module_settings, "run", "--select", "marts", "--full-refresh")
    with connect(module_settings, "builder") as connection:
        connection.execute("create view marts.plain_view as select * from marts.fct_invoice")
        connection.execute(
            "create function marts.all_totals() returns bigint language sql security invoker "
            "as 'select sum(total_minor)::bigint from marts.fct_invoice'"
        )
        connection.execute("grant execute on function marts.all_totals() to valueverse_analyst")
    return module_settings


def test_what_dbt_built_is_as_the_manifests_rules_say(warehouse: Settings) -> None:
    with connect(warehouse, "admin") as connection:
        connection.execute("drop function marts.all_totals()")
        row = connection.execute(manifest.QUERY.encode()).fetchone()
        connection.rollback()
    assert row is not None
    assert manifest.rls_violations(row[0]) == []


@pytest.fixture(scope="module")
def analyst_address(warehouse: Settings) -> Iterator[str]:
    """A login mapped to acme alone, as an operator makes one."""
    name = f"t{secrets.token_hex(4)}"
    password = analysts.add(warehouse, name, [OWN])
    assert password is not None
    yield make_conninfo(warehouse.postgres_url("builder"), user=analysts.role_name(name), password=password)
    analysts.remove(warehouse, name)


@pytest.fixture
def analyst(analyst_address: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(analyst_address, autocommit=True) as connection:
        yield connection


def test_every_table_and_view_of_the_marts_shows_own_rows_only(
    analyst: psycopg.Connection[Any],
) -> None:
    relations = analyst.execute(
        "select oid::regclass::text, relkind::text from pg_class where relnamespace = 'marts'::regnamespace "
        "and relkind in ('r', 'p', 'v', 'm', 'f')"
    ).fetchall()
    kinds = [kind for _, kind in relations]
    marts = len(list((ROOT / "dbt_project" / "models" / "marts").glob("*.sql")))
    assert (kinds.count("p"), kinds.count("v"), len(kinds)) == (marts, 1, marts + 1)
    seen = 0
    for name, _ in relations:
        rows = analyst.execute(f"select relation.tenant_id, relation::text from {name} as relation").fetchall()
        assert {row[0] for row in rows} <= {OWN}, name
        assert not any(secret_of(other) in row[1] for row in rows for other in OTHERS), name
        seen += len(rows)
    assert seen >= 8


def test_names_need_no_schema_and_partitions_are_neither_listed_nor_open(
    analyst: psycopg.Connection[Any],
) -> None:
    visible = analyst.execute(
        "select oid::regclass::text from pg_class where pg_table_is_visible(oid) and relkind in ('r', 'p', 'v', 'm') "
        "and relnamespace <> 'pg_catalog'::regnamespace"
    ).fetchall()
    marts = {path.stem for path in (ROOT / "dbt_project" / "models" / "marts").glob("*.sql")}
    assert {name for (name,) in visible} == marts | {"plain_view"}
    listed = (
        "select table_name from information_schema.tables where table_schema not in ('guard', 'information_schema')"
    )
    assert {name for (name,) in analyst.execute(listed + " and table_schema <> 'pg_catalog'")} == marts | {"plain_view"}
    row = analyst.execute(
        "select count(*) from pg_class where relkind = 'r' and relnamespace = 'marts_partitions'::regnamespace"
    ).fetchone()
    assert row == (len(marts) * 16,)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        analyst.execute("select count(*) from marts_partitions.fct_invoice__p00")


@pytest.mark.parametrize(
    "query",
    [
        "select count(*) from marts.fct_invoice where tenant_id = 'birch'",
        "select count(*) from marts.fct_usage_daily where tenant_id <> 'acme'",
        "select count(*) from marts.plain_view where tenant_id <> 'acme'",
        "select marts.all_totals() - 14224",
        "select count(*) from pg_stats where schemaname = 'marts'",
        "select count(*) from guard.analyst_tenant where role_name <> session_user",
        (
            "with recursive r as (select tenant_id from marts.dim_customer) select count(*) from r where "
            "tenant_id = 'cedar'"
        ),
        (
            "select count(*) from marts.fct_invoice a right join (values ('birch')) v(t) on a.tenant_id = "
            "v.t "
            "where a.total is not null"
        ),
    ],
)
def test_no_count_and_no_sum_knows_another_tenant(analyst: psycopg.Connection[Any], query: str) -> None:
    row = analyst.execute(query).fetchone()
    assert row is not None
    assert row[0] == 0


@pytest.mark.parametrize(
    "name", ["app.tenant_id", "app.tenant", "valueverse.tenant", "request.jwt.claims", "tenant_id"]
)
def test_no_setting_shows_another_tenants_rows(analyst: psycopg.Connection[Any], name: str) -> None:
    if "." in name:
        analyst.execute("select set_config(%s, 'birch', false)", [name])
    analyst.execute("set search_path to marts, billing, public")
    assert _tenants(analyst) == {OWN}


@pytest.mark.parametrize(
    "statement",
    [
        "set role valueverse_builder",
        "set role valueverse_owner",
        "set session authorization valueverse_builder",
        "set row_security = off; select * from marts.fct_invoice",
        "insert into guard.analyst_tenant values (session_user, 'birch')",
        "update guard.analyst_tenant set tenant_id = 'birch'",
        "select * from billing.invoice",
        "select * from billing.release",
        "select * from staging.stg_invoices",
        "select * from intermediate.int_invoices",
        "select * from auth.api_key",
        "alter table marts.fct_invoice disable row level security",
        "drop policy analyst_tenant on marts.fct_invoice",
        "create policy mine on marts.fct_invoice using (true)",
        (
            "create function marts.leak(text) returns boolean language plpgsql cost 0.0001 as 'begin raise "
            "notice ''%', $1; return true; end'"
        ),
        "create view marts.mine as select * from marts.fct_invoice",
        "create temporary table mine as select 1",
        "update marts.fct_invoice set total = 0",
        "delete from marts.fct_invoice",
        "truncate marts.fct_invoice",
        "copy marts.fct_invoice to program 'cat'",
        "select pg_read_file('PG_VERSION')",
        "alter role valueverse_analyst bypassrls",
        "select guard.protect('marts.fct_invoice'::regclass)",
    ],
)
def test_what_an_analyst_may_not_do_is_refused(analyst: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.Error):
        analyst.execute(statement).fetchall()
    assert _tenants(analyst) == {OWN}


@pytest.mark.parametrize(
    "query",
    [
        "select * from marts.dim_customer where cast(customer_key as integer) = 1",
        "select * from marts.fct_invoice where 1 / (case when tenant_id = 'birch' then 0 else 1 end) = 2",
        "select * from marts.dim_customer where customer_name::xml is not null",
        "select cast(email as numeric) from marts.dim_customer",
    ],
)
def test_an_error_message_names_no_value_of_another_tenant(analyst: psycopg.Connection[Any], query: str) -> None:
    try:
        shown = str(analyst.execute(query).fetchall())
    except psycopg.Error as error:
        shown = str(error)
        assert "division by zero" not in shown
    assert not any(secret_of(other) in shown for other in OTHERS)


@pytest.mark.parametrize("mart", ["fct_invoice", "dim_customer", "fct_usage_daily", "plain_view"])
def test_explain_shows_estimates_and_no_value(analyst: psycopg.Connection[Any], mart: str) -> None:
    for options in ("verbose", "analyze, verbose, buffers", "settings, verbose, generic_plan"):
        plan = analyst.execute(f"explain ({options}) select * from marts.{mart} where tenant_id = 'birch'").fetchall()
        text = "\n".join(row[0] for row in plan)
        assert not any(secret_of(other) in text for other in OTHERS)
        assert re.search(r"rows=\d+", text), "planner estimates are what Postgres shows to every login"
        if "analyze" in options:
            assert re.search(r"actual time=[\d.]+ rows=0", text) or "never executed" in text


def test_copy_and_cursors_go_by_the_same_policy(analyst: psycopg.Connection[Any]) -> None:
    with analyst.cursor().copy("copy (select * from marts.dim_customer) to stdout") as copied:
        text = b"".join(copied).decode()
    assert secret_of(OWN) in text
    assert not any(secret_of(other) in text for other in OTHERS)


def test_an_analyst_without_a_mapping_sees_nothing(warehouse: Settings, analyst: psycopg.Connection[Any]) -> None:
    with connect(warehouse, "admin") as connection:
        connection.execute("delete from guard.analyst_tenant")
        connection.commit()
        assert _tenants(analyst) == set()
        connection.execute("insert into guard.analyst_tenant values (%s, %s)", [analyst.info.user, OWN])


def test_a_table_that_a_rebuild_leaves_over_has_policies_too(
    warehouse: Settings, analyst: psycopg.Connection[Any]
) -> None:
    with connect(warehouse, "builder", autocommit=True) as connection:
        connection.execute("create table marts.fct_invoice__dbt_backup as select * from marts.fct_invoice")
        rows = analyst.execute("select distinct tenant_id from marts.fct_invoice__dbt_backup").fetchall()
        connection.execute("drop table marts.fct_invoice__dbt_backup")
    assert rows == [(OWN,)]


@pytest.mark.parametrize("heading", re.findall(r"^## (.+)$", COOKBOOK.read_text(encoding="utf-8"), re.MULTILINE))
def test_each_query_of_the_cookbook_runs_for_an_analyst(analyst: psycopg.Connection[Any], heading: str) -> None:
    section = COOKBOOK.read_text(encoding="utf-8").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    queries = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    for query in queries:
        rows = analyst.execute(query).fetchall()
        assert rows, heading
        assert not any(secret_of(other) in str(row) for row in rows for other in OTHERS)


def _tenants(analyst: psycopg.Connection[Any]) -> set[str]:
    rows = analyst.execute("select distinct tenant_id from marts.fct_invoice").fetchall()
    return {row[0] for row in rows}
