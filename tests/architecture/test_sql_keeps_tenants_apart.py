"""Every join and window of tenants' tables in SQL has the tenant among its keys (docs/decisions/0021)."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlglot.errors import SqlglotError

from tests.support import tenant_sql

ROOT = Path(__file__).parents[2]
PACKAGES = ("valueverse", "assets", "quality", "serving_api")
WITHOUT = {
    "charges": "prices of a catalog document, by its hash",
    "fees": "fees of a catalog document, by its hash",
    "plans": "plans of a catalog document, by its hash",
    "meters": "meters of a catalog document, by its hash",
    "zones": "the names of time zones",
    "currencies": "the decimals of currencies",
    "line_id": "a row number of all booked lines, made by quality/billed_queries.py",
    "term": "a row number of the charges, or fees, of catalog documents, made by quality/reconciliation.py",
}
"""Relations without a tenant, and numbers that no two rows have."""


def statements() -> list[tuple[str, str, str]]:
    """Place, text and dialect of every statement with a join or window."""
    found = []
    for package in PACKAGES:
        dialect = "duckdb" if package == "quality" else "postgres"
        for path in sorted((ROOT / package).rglob("*.py")):
            found += [(place, text, dialect) for place, text in tenant_sql.in_python(path)]
    for folder in ("models", "tests"):
        for path in sorted((ROOT / "dbt_project" / folder).rglob("*.sql")):
            found.append((*tenant_sql.in_dbt(path), "postgres"))
    for path in sorted((ROOT / "valueverse/platform/migrations/sql").glob("*.sql")):
        found += [(place, text, "postgres") for place, text in tenant_sql.in_migration(path)]
    return [(place.removeprefix(f"{ROOT}/"), text, dialect) for place, text, dialect in found]


def test_every_join_and_window_in_sql_has_the_tenant_among_its_keys() -> None:
    odd, unread = [], []
    for place, text, dialect in statements():
        try:
            odd += [f"{place}: {part}" for part in tenant_sql.judged(text, dialect, set(WITHOUT))]
        except SqlglotError as error:
            unread.append(f"{place}: {str(error)[:200]}")
    assert not odd, "join on tenant_id too, or say in WITHOUT why a relation has no tenant"
    assert not unread, "a statement that cannot be read cannot be judged"


def test_statements_of_every_module_are_read() -> None:
    places = [place for place, _, _ in statements()]
    for module in (
        "valueverse/platform/stores/billing_store.py",
        "quality/",
        "dbt_project/models/",
        "valueverse/platform/migrations/",
    ):
        assert any(place.startswith(module) for place in places), module


@pytest.mark.parametrize(
    "text",
    [
        "select * from billing.invoice i join billing.invoice_line l using (invoice_id)",
        "select * from a join b on a.tenant_id = b.tenant_id or true join c on c.origin = a.origin",
        "select * from a join b on a.tenant_id = 'acme' and a.id = b.id",
        "select * from a cross join lateral (select * from b where b.id = a.id) as x",
        "select row_number() over (partition by origin order by id) from credits",
        "select * from a, b where a.id = b.id",
    ],
)
def test_a_join_without_the_tenant_is_found(text: str) -> None:
    assert tenant_sql.judged(text, "postgres", set())


@pytest.mark.parametrize(
    "text",
    [
        "select * from a join b using (tenant_id, id)",
        "select * from a join b on a.tenant_id = b.tenant_id and a.id = b.id",
        "select * from a left join lateral (select * from b where b.tenant_id = a.tenant_id) as x on true",
    ],
)
def test_a_join_with_the_tenant_is_right(text: str) -> None:
    assert not tenant_sql.judged(text, "postgres", set())
