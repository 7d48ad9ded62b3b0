"""Every attack fails on a sound database, and a weakened rule is noticed (a sample of `make mutate-security`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.attacks import world
from tests.attacks.logins import LOGIN_ATTACKS, Logins
from tests.attacks.mutants import mutants
from tests.attacks.omissions import statements
from tests.attacks.on_rights import tables_of_functions
from tests.attacks.trials import ATTACKS, FIRST, open_attacks, tried
from tests.security_mutation import committed
from valueverse.platform import warehouse

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from tests.attacks.mutants import Mutant
    from valueverse.platform.settings import Settings

pytestmark = [pytest.mark.integration, pytest.mark.security]


@pytest.fixture(scope="module")
def logins(own_server: Settings) -> Iterator[Logins]:
    own = own_server.model_copy(update={"database": "attacked"})
    warehouse.upgrade(own)
    yield Logins(own, world.seed(own))
    world.clear(own)


@pytest.fixture(scope="module")
def admin(logins: Logins) -> Iterator[psycopg.Connection[Any]]:
    with warehouse.connect(logins.settings, "admin", autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def known(admin: psycopg.Connection[Any]) -> list[Mutant]:
    return mutants(admin)


def test_every_table_that_functions_read_has_rows_of_both_tenants_to_attack(admin: psycopg.Connection[Any]) -> None:
    tables = tables_of_functions(admin)
    assert {"billing.invoice", "auth.portal_link", "value.verdict"} <= set(tables)
    empty = [
        table
        for table in tables
        if {row[0] for row in admin.execute(f"select tenant_id from {table}".encode()).fetchall()}
        < {world.OWN, world.OTHER}
    ]
    # A void belongs to birch alone: acme's invoice is not void.
    assert empty == ["billing.invoice_void"]


def test_the_attack_that_is_made_first_on_a_kind_of_rule_exists() -> None:
    assert set(FIRST.values()) <= set(ATTACKS)


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_gets_nowhere(admin: psycopg.Connection[Any], attack: str) -> None:
    with admin.transaction(force_rollback=True):
        assert ATTACKS[attack](admin) == []


@pytest.mark.parametrize("attack", LOGIN_ATTACKS)
def test_a_login_gets_nowhere(logins: Logins, attack: str) -> None:
    assert LOGIN_ATTACKS[attack](logins) == []


def test_the_manifest_finds_nothing(admin: psycopg.Connection[Any]) -> None:
    assert open_attacks(admin) == []


WEAKENED = {
    "the mapping's policy opened": ("policy", "own_rows on guard.analyst_tenant using (true)"),
    "a mart's policy opened": ("policy", "analyst_tenant on marts.probe using (true or"),
    "an unset setting shows everything": ("policy", "api_tenant on billing.invoice using ((("),
    "any setting shows everything": ("policy", "is not null)"),
    "analysts write marts": ("right on a table", "delete, truncate on marts.probe to valueverse_analyst"),
    "analysts read billing": ("right on a table", "select on billing.invoice to valueverse_analyst"),
    "advisory locks open": ("right of the server", "pg_advisory_lock(bigint) to public"),
    "large objects open": ("right of the server", "lo_create(oid) to public"),
    "api.invoice without its filter": ("filter", "/* api.invoice(text,text): without i.tenant_id = for_tenant */"),
    "new functions open to everybody": ("default right", "valueverse_reader grant execute on functions to public"),
    "analysts use schema api": ("right on a schema", "usage on schema api to valueverse_analyst"),
    "no time limit": ("bound", "role analyst_probe reset statement_timeout"),
    "no limit on connections": ("bound", "role analyst_probe connection limit -1"),
    "a function's setting stays": ("setting that stays", "FUNCTION api.customers("),
    "row-level security off": ("row-level security", "billing.invoice disable"),
    "an analyst in the reader": ("membership", "valueverse_reader to analyst_probe"),
    "the reader passes by policies": ("role", "valueverse_reader bypassrls"),
    "a search path that is not pinned": ("search path", "api.invoice(text,text)"),
    "a trigger off": ("trigger", "billing.invoice disable trigger finalised_update"),
    "a trigger off for replicas": ("trigger", "billing.journal_entry enable trigger insert_only"),
    "a table given away": ("owner", "billing.invoice owner to valueverse_reader"),
    "a view of its owner's": ("view", "marts.probe_view"),
    "the guard off": ("guard", "alter event trigger valueverse_guard disable"),
    "an open database": ("right on a database", "connect on database postgres to valueverse_analyst"),
    "a mart without tenants": ("addition", "create table marts.open"),
}


@pytest.mark.parametrize("rule", WEAKENED)
def test_a_weakened_rule_is_noticed(
    admin: psycopg.Connection[Any], logins: Logins, known: list[Mutant], rule: str
) -> None:
    kind, part = WEAKENED[rule]
    mutant = next(one for one in known if one.kind == kind and part in one.change)
    if mutant.undo:
        with warehouse.connect(logins.settings, "admin") as own:
            verdict = committed(own, logins, mutant)
    else:
        verdict = tried(admin, mutant)
    assert verdict.manifest
    assert verdict.attack


def test_a_new_rule_is_weakened_without_being_listed(admin: psycopg.Connection[Any], known: list[Mutant]) -> None:
    with admin.transaction(force_rollback=True):
        admin.execute(
            "create table billing.fresh (tenant_id text);"
            " create policy fresh on billing.fresh to valueverse_reader using (tenant_id = 'x');"
            " create function api.fresh(for_tenant text) returns bigint language sql as"
            " 'select count(*) from billing.fresh as f where f.tenant_id = for_tenant';"
            " alter role valueverse_api set lock_timeout = '1s'"
        )
        fresh = {one.kind for one in mutants(admin) if one not in known}
    assert fresh >= {
        "policy",
        "row-level security",
        "right on a table",
        "filter",
        "right on a function",
        "bound",
        "owner",
    }


def test_statements_of_a_migration_are_distinguished() -> None:
    text = (
        "-- a; comment\nrevoke all on x from y;\ndo $$ begin execute 'a;b'; end $$;\ncreate function f() as $$ x; $$;"
    )
    assert [one.strip().splitlines()[-1] for one in statements(text)] == [
        "revoke all on x from y;", "do $$ begin execute 'a;b'; end $$;", "create function f() as $$ x; $$;",
    ]  # fmt: skip
