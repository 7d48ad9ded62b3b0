"""The API and its database role against another tenant's rows, generated from routes and catalogue."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import polars as pl
import psycopg
import pytest
from psycopg import sql

from tests.support.api_rows import READ, fill
from tests.support.billing_rows import TENANTS, secret_of
from tests.support.isolation_matrix import addresses, calls
from tests.support.ledger import World
from tests.support.people import add_people
from tests.support.serving import Api, assert_problem, bearer, without
from tests.support.value_matrix import REFERRING, commit_models
from valueverse.platform.access.api_keys import digest
from valueverse.platform.lake import Lake
from valueverse.platform.warehouse import connect
from valueverse.services.lake_tables import BILLING_FACTS_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.integration, pytest.mark.security]


async def test_the_matrix_covers_every_route_behind_a_token(api: Api) -> None:
    paths = api.app.openapi()["paths"]
    guarded = {path for path, item in paths.items() if "security" in item.get("get", {})}
    assert guarded == set(addresses("acme"))


@pytest.mark.parametrize("reader", TENANTS)
@pytest.mark.parametrize("owner", TENANTS)
async def test_no_route_shows_one_tenant_to_another(api: Api, reader: str, owner: str) -> None:
    for path, address in addresses(owner).items():
        answer = await api.get(reader, address, headers=bearer(api.token(reader, "admin")))
        for other in TENANTS:
            if other != reader:
                assert secret_of(other) not in answer.text, (path, reader, owner)
        if address != addresses("nobody")[path] and reader != owner:
            missing = await api.get(reader, addresses("nobody")[path], headers=bearer(api.token(reader, "admin")))
            assert without(assert_problem(answer, 404, "not-found")) == without(
                assert_problem(missing, 404, "not-found")
            )
        else:
            assert answer.status_code == 200
    query = {"customer": f"customer {secret_of(owner)}"}
    rows = (await api.get(reader, "/v1/invoices", **query)).json()["data"]
    assert len(rows) == (2 if reader == owner else 0)


async def test_parallel_readers_on_few_connections_never_cross(api: Api) -> None:
    for tenant in TENANTS:
        await api.get(tenant, "/v1/invoices")

    async def read(tenant: str) -> None:
        text = (await api.get(tenant, "/v1/customers")).text
        assert secret_of(tenant) in text
        assert not any(secret_of(other) in text for other in TENANTS if other != tenant)

    await asyncio.gather(*(read(TENANTS[number % 3]) for number in range(90)))


@pytest.fixture(scope="module")
def keys(keys: dict[str, str], module_settings: Settings) -> dict[str, str]:
    """The seeded API; its lake knows of the customers too."""
    worlds = [World({"currency": "EUR", "timezone": "UTC", "plans": [{"key": "pro"}]}, tenant=one) for one in TENANTS]
    for world in worlds:
        secret = secret_of(world.tenant)
        world.start("2023-10-01", subscription=f"subscription {secret}", customer=f"customer {secret}")
        given = {"amount": "5", "currency": "EUR"}
        world.record("payment.received", "2023-12-01", given | {"invoice": f"of {secret}"})
        world.record("credit_note.issued", "2023-12-01", {"invoice": f"of {secret}", "amount": "1", "reason": secret})
        world.record("one_off.added", "2024-02-01", given | {"customer": f"customer {secret}", "description": secret})
        world.record("wallet.granted", "2023-12-01", given | {"customer": f"customer {secret}", "wallet": secret})
    add_people(module_settings)
    facts = pl.concat([world.lake_facts() for world in worlds])
    Lake(module_settings.lake_url).overwrite(BILLING_FACTS_TABLE, facts)
    commit_models(module_settings)
    return keys


@pytest.fixture
def login(module_settings: Settings, keys: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    """The API's own database login."""
    with connect(module_settings, "api", autocommit=True) as connection:
        yield connection


@pytest.fixture
def admin(module_settings: Settings, keys: dict[str, str]) -> Iterator[psycopg.Connection[Any]]:
    """A superuser whose work is undone."""
    with (
        connect(module_settings, "admin", autocommit=True) as connection,
        connection.transaction(force_rollback=True),
    ):
        yield connection


def call(name: str, places: str) -> bytes:
    """The call of a function whose first argument is the tenant."""
    return f"select * from api.{name}({', '.join(filter(None, ('%s', places)))})".encode()


WRITING = {
    *("add_data_key", "receive_events", "keep_answer", "store_value_model"),
    *("add_webhook_endpoint", "request_computation", "add_payment_instrument"),
}


def test_every_function_is_in_the_matrix(login: psycopg.Connection[Any]) -> None:
    rows = login.execute(
        "select proname, proargnames[1] from pg_proc where pronamespace = 'api'::regnamespace"
    ).fetchall()
    tenantless = {"ready", "api_key", "answer_channel"}
    assert {name for name, _ in rows} == set(calls("acme")) | tenantless
    assert {first for name, first in rows if name not in tenantless} == {"for_tenant"}


@pytest.mark.parametrize("asked", ["birch", "", "%", "acme' or '1'='1", None])
def test_no_function_gives_another_tenants_rows(
    login: psycopg.Connection[Any], admin: psycopg.Connection[Any], asked: str | None
) -> None:
    for name, (places, arguments) in calls("acme").items():
        query = call(name, places)
        try:
            answer = str(login.execute(query, [asked, *arguments]).fetchall())
        except (psycopg.errors.IntegrityError, psycopg.errors.InsufficientPrivilege):
            # Nothing is written for what can be no tenant, and nothing that belongs to another tenant's things.
            assert name in WRITING | REFERRING
            assert asked != "birch" or name in REFERRING
            continue
        assert name not in REFERRING
        assert secret_of("acme") not in answer, name
        assert not any(done in answer for done in ("rotated", "'changed'", "'sent'", "'done', 1", "removed")), name
        assert "True" not in answer or name in {
            "invoice",
            "event_invoices",
            "explain_invoices",
            "tenant_known",
            "customers",
        }, name
    owned = str(login.execute("select * from api.customers('acme', null, 100)").fetchall())
    assert secret_of("acme") in owned


def test_a_key_is_found_by_prefix_and_hash_together(login: psycopg.Connection[Any], keys: dict[str, str]) -> None:
    prefix = keys["acme"].split("_")[1]
    for hashed in ("", "0" * 64, None):
        assert login.execute("select * from api.api_key(%s, %s, '::1', '')", [prefix, hashed]).fetchall() == []
    for wild in ("%", "", None, "' or true --"):
        assert (
            login.execute("select * from api.api_key(%s, %s, '::1', '')", [wild, digest(keys["acme"])]).fetchall() == []
        )
    assert login.execute(
        "select tenant_id from api.api_key(%s, %s, '::1', '')", [prefix, digest(keys["acme"])]
    ).fetchall() == [("acme",)]


def test_the_login_can_touch_no_table_view_or_sequence(login: psycopg.Connection[Any]) -> None:
    relations = login.execute(
        "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'p', 'v', 'm', 'S', 'f') and"
        " n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')"
    ).fetchall()
    assert len(relations) > 20
    for (name,) in relations:
        for statement in (
            "select * from {}",
            "delete from {}",
            "insert into {} default values",
            "truncate {}",
            "copy {} to stdout",
        ):
            with pytest.raises(
                (
                    psycopg.errors.InsufficientPrivilege,
                    psycopg.errors.WrongObjectType,
                    psycopg.errors.UndefinedTable,
                )
            ):
                login.execute(statement.format(name))


@pytest.mark.parametrize(
    "statement",
    [
        "set role valueverse_reader", "set role valueverse_owner", "set role valueverse_builder",
        "set session authorization postgres",
        "create table public.x ()", "create temp table x ()", "create schema x",
        "create function api.x() returns int language sql as 'select 1'",
        "alter function api.ready() security invoker", "drop function api.ready()",
        "select pg_read_file('/etc/passwd')",
        "copy (select 1) to program 'true'", "select * from pg_authid",
        "create policy p on billing.invoice using (true)",
        "alter table billing.invoice no force row level security",
        "grant valueverse_reader to valueverse_api",
    ],
)  # fmt: skip
def test_the_login_cannot_make_itself_more(login: psycopg.Connection[Any], statement: str) -> None:
    with pytest.raises(psycopg.Error):
        login.execute(statement)  # type: ignore[arg-type]


def test_a_setting_of_the_logins_own_making_opens_nothing(login: psycopg.Connection[Any]) -> None:
    login.execute(
        "select set_config('valueverse.tenant', 'acme', false), set_config('valueverse.key_prefix', '%', false)"
    )
    for name, (places, arguments) in calls("acme").items():
        if name not in REFERRING:
            rows = login.execute(call(name, places), ["birch", *arguments]).fetchall()
            assert secret_of("acme") not in str(rows)


def seen(admin: psycopg.Connection[Any], table: str, tenant: str | None) -> set[str]:
    """Tenants whose rows the functions' owner sees in ``table``."""
    admin.execute(
        "select set_config('valueverse.tenant', %s, true), set_config('valueverse.key_prefix', '', true)",
        [tenant],
    )
    admin.execute("set local role valueverse_reader")
    try:
        return {
            row[0]
            for row in admin.execute(sql.SQL("select tenant_id from {}").format(sql.Identifier(*table.split("."))))
        }
    finally:
        admin.execute("reset role")


@pytest.mark.parametrize("table", READ)
def test_without_the_functions_row_level_security_holds_by_itself(admin: psycopg.Connection[Any], table: str) -> None:
    fill(admin)
    assert seen(admin, table, "acme") == {"acme"}
    assert seen(admin, table, None) == set()
    assert seen(admin, table, "") == set()
    admin.execute(sql.SQL("drop policy api_tenant on {}").format(sql.Identifier(*table.split("."))))
    assert seen(admin, table, "acme") == set(TENANTS)


def test_the_functions_owner_reads_the_tables_of_the_matrix_alone(admin: psycopg.Connection[Any]) -> None:
    rows = admin.execute(
        "select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where c.relkind in ('r', 'p', 'v', 'm')"
        " and n.nspname not in ('pg_catalog', 'information_schema')"
        " and has_any_column_privilege('valueverse_reader', c.oid,"
        " 'select, insert, update')"
    ).fetchall()
    assert {row[0] for row in rows} == set(READ)
