"""Aggregates of a mart on a real Postgres: exact, of the tenants asked for alone, in the tenant's months."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from valueverse.platform.stores.mart_metrics import MartColumn, columns_of, read_mart
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration
NOVEMBER, DECEMBER = date(2023, 11, 1), date(2023, 12, 1)
ROWS: list[tuple[Any, ...]] = [
    ("acme", "c1", "2023-11-01", "2023-11-01T04:30Z", 1, "0.000000000000000001", "USD"),
    ("acme", "c1", "2023-11-30", "2023-12-01T04:30Z", 0, "12345678901234567890.5", "USD"),
    ("acme", "c1", "2023-11-30", "2023-11-30T12:00Z", 0, "7", "EUR"),
    ("acme", None, "2023-11-15", "2023-11-15T12:00Z", 5, None, None),
    ("acme", "c2", "2023-12-01", "2023-12-01T05:00Z", 3, "2", "USD"),
    ("birch", "c1", "2023-11-02", "2023-11-02T00:00Z", 9, "1e20", "USD"),
    ("birch", "c2", "2023-11-02", "2023-11-02T00:00Z", 9, "NaN", "USD"),
    ("birch", "c3", "2023-11-02", "2023-11-02T00:00Z", 9, "-Infinity", "USD"),
    ("cedar", "c1", "2023-11-02", "2023-11-02T00:00Z", 100, "100", "USD"),
]


@pytest.fixture(scope="module")
def warehouse(module_settings: Settings) -> Settings:
    with connect(module_settings, "builder") as connection:
        connection.execute(
            "create table marts.fct_tried (tenant_id text not null, customer_key text, day date, at timestamptz,"
            " events integer, amount numeric, currency text) partition by hash (tenant_id)"
        )
        connection.execute(
            "create table marts.fct_tried__p00 partition of marts.fct_tried for values with (modulus 1, remainder 0)"
        )
        connection.cursor().executemany("insert into marts.fct_tried values (%s, %s, %s, %s, %s, %s, %s)", ROWS)
        connection.commit()
    return module_settings


def read(warehouse: Settings, *tenants: str, **change: Any) -> list[tuple[Any, ...]]:
    """(customer, month, currency, value) of the tenants, whose days are New York's."""
    of = {
        "mart": "fct_tried",
        "column": "events",
        "month": "day",
        "instants": False,
        "customer": "customer_key",
        "currency": None,
        "aggregation": "sum",
    }
    months = pl.DataFrame(
        {
            "month": [NOVEMBER, DECEMBER],
            "begins": [datetime(2023, 11, 1, 4, tzinfo=UTC), datetime(2023, 12, 1, 5, tzinfo=UTC)],
            "ends": [datetime(2023, 12, 1, 5, tzinfo=UTC), datetime(2024, 1, 1, 5, tzinfo=UTC)],
        }
    )
    wanted = pl.DataFrame({"tenant": tenants or ["acme"]}).join(months, how="cross")
    with connect(warehouse, "builder") as connection:
        return read_mart(connection, MartColumn(**(of | change)), wanted).drop("tenant").rows()


def test_a_mart_has_columns_and_its_partitions_are_none(warehouse: Settings) -> None:
    with connect(warehouse, "builder") as connection:
        found = columns_of(connection, ["fct_tried", "fct_tried__p00", "fct_unknown"])
    assert dict(found.select("column", "type").iter_rows()) == {
        "tenant_id": "text",
        "customer_key": "text",
        "day": "date",
        "at": "timestamp with time zone",
        "events": "integer",
        "amount": "numeric",
        "currency": "text",
    }
    assert set(found["mart"]) == {"fct_tried"}


@pytest.mark.parametrize(
    ("aggregation", "expected"),
    [
        ("sum", "1"),
        ("mean", "0.333333333333333333"),
        ("min", "0"),
        ("max", "1"),
        ("last", "0"),
        ("count", "3"),
    ],
)
def test_every_aggregation_is_exact_per_customer_and_month(
    warehouse: Settings, aggregation: str, expected: str
) -> None:
    found = {row[:2]: row[3] for row in read(warehouse, aggregation=aggregation)}
    assert found["c1", NOVEMBER] == Decimal(expected)
    assert set(found) == {("", NOVEMBER), ("c1", NOVEMBER), ("c2", DECEMBER)}


def test_money_keeps_every_digit_and_its_currency(warehouse: Settings) -> None:
    assert read(warehouse, column="amount", currency="currency") == [
        ("c1", NOVEMBER, "EUR", Decimal(7)),
        ("c1", NOVEMBER, "USD", Decimal("12345678901234567890.500000000000000001")),
        ("c2", DECEMBER, "USD", Decimal(2)),
    ]


def test_of_several_last_values_the_largest_counts(warehouse: Settings) -> None:
    found = read(warehouse, column="amount", aggregation="last")
    assert found[0] == ("c1", NOVEMBER, None, Decimal("12345678901234567890.5"))


def test_an_instant_belongs_to_the_month_of_its_tenant_s_zone(warehouse: Settings) -> None:
    found = read(warehouse, month="at", instants=True, aggregation="count")
    assert [row[:2] + row[3:] for row in found] == [
        ("", NOVEMBER, Decimal(1)),
        ("c1", NOVEMBER, Decimal(3)),
        ("c2", DECEMBER, Decimal(1)),
    ]


def test_without_a_customer_the_value_is_the_tenant_s_own(warehouse: Settings) -> None:
    found = read(warehouse, "acme", "cedar", customer=None)
    assert found == [
        ("", NOVEMBER, None, Decimal(6)),
        ("", DECEMBER, None, Decimal(3)),
        ("", NOVEMBER, None, Decimal(100)),
    ]


def test_what_is_no_exact_number_is_null_and_nobody_else_s(warehouse: Settings) -> None:
    assert read(warehouse, "birch", column="amount") == [
        ("c1", NOVEMBER, None, None),
        ("c2", NOVEMBER, None, None),
        ("c3", NOVEMBER, None, None),
    ]


def test_a_name_is_never_a_statement(warehouse: Settings) -> None:
    import psycopg

    with pytest.raises(psycopg.errors.UndefinedColumn):
        read(warehouse, column="events) from billing.tenant; --")
