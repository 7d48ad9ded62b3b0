"""Which catalog registers a metric for a month, what a mart must have, and which values count."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from tests.catalog.test_metrics import HOURS, catalog
from valueverse.catalog.document import parse_catalog
from valueverse.catalog.history import CatalogHistory
from valueverse.errors import RefusalError
from valueverse.schemas.events import BILLING_FACTS
from valueverse.schemas.types import EXACT
from valueverse.value.realisation.mart_metric_rules import check_columns, registered_metrics, valid_metric_values

if TYPE_CHECKING:
    from valueverse.catalog.metrics import MartMetric

OCTOBER, NOVEMBER, DECEMBER = date(2023, 10, 1), date(2023, 11, 1), date(2023, 12, 1)
TYPES = {
    "tenant_id": "text",
    "usage_date": "date",
    "stamped": "timestamp with time zone",
    "customer_key": "text",
    "quantity": "numeric",
    "events": "bigint",
    "ratio": "double precision",
    "currency": "text",
}


def metric(**change: Any) -> MartMetric:
    return parse_catalog(catalog(HOURS | change)).metrics[0]


def history(*published: tuple[str, str, dict[str, Any]]) -> CatalogHistory:
    rows = [
        {
            "tenant": tenant,
            "type": "billing.catalog.published",
            "time": datetime.fromisoformat(time).replace(tzinfo=UTC),
            "received_at": datetime.fromisoformat(time).replace(tzinfo=UTC),
            "source": "test",
            "id": str(number),
            "data": json.dumps(document),
        }
        for number, (tenant, time, document) in enumerate(published)
    ]
    missing = {name: None for name in BILLING_FACTS if name not in rows[0]}
    return CatalogHistory.from_facts(pl.DataFrame([row | missing for row in rows], schema=BILLING_FACTS))


def zones(**of: str) -> pl.DataFrame:
    return pl.DataFrame({"tenant": list(of), "timezone": list(of.values())})


def wanted(found: list[tuple[MartMetric, pl.DataFrame]]) -> list[tuple[str, str, date]]:
    return sorted((one.key, *row) for one, rows in found for row in rows.select("tenant", "month").iter_rows())


def test_the_catalog_that_holds_at_the_end_of_a_month_registers_its_metrics() -> None:
    facts = history(
        ("acme", "2023-10-20", catalog(HOURS)),
        ("acme", "2023-12-01", catalog(HOURS | {"key": "other"})),
        ("birch", "2023-11-30T23:59:59", catalog(HOURS)),
        ("cedar", "2023-11-01", catalog()),
    )
    found = registered_metrics(facts, zones(acme="UTC", birch="UTC", cedar="UTC"), [OCTOBER, NOVEMBER, DECEMBER])
    assert wanted(found) == [
        ("other", "acme", DECEMBER),
        ("support.hours", "acme", OCTOBER),
        ("support.hours", "acme", NOVEMBER),
        ("support.hours", "birch", NOVEMBER),
        ("support.hours", "birch", DECEMBER),
    ]
    assert len(found) == 2


def test_a_month_ends_where_the_tenant_is() -> None:
    facts = history(("acme", "2023-12-01T04:30", catalog(HOURS)), ("birch", "2023-12-01T04:30", catalog(HOURS)))
    found = registered_metrics(facts, zones(acme="America/New_York", birch="UTC"), [NOVEMBER])
    assert wanted(found) == [("support.hours", "acme", NOVEMBER)]
    ((_, rows),) = found
    assert rows.select("begins", "ends").row(0) == (
        datetime(2023, 11, 1, 4, tzinfo=UTC),
        datetime(2023, 12, 1, 5, tzinfo=UTC),
    )


def test_without_registered_metrics_there_is_nothing_to_read() -> None:
    assert registered_metrics(history(("acme", "2023-10-20", catalog())), zones(acme="UTC"), [OCTOBER]) == []


def columns(mart: str = "fct_usage_daily", **types: str) -> pl.DataFrame:
    schema = {"mart": pl.String, "column": pl.String, "type": pl.String}
    return pl.DataFrame([(mart, *one) for one in types.items()], schema=schema, orient="row")


@pytest.mark.parametrize(
    ("change", "instants"),
    [
        ({}, False),
        ({"month": "stamped"}, True),
        ({"column": "events", "currency_column": "currency"}, False),
        ({"aggregation": "count", "column": "customer_key"}, False),
    ],
)
def test_a_mart_with_the_columns_can_be_read(change: dict[str, Any], instants: bool) -> None:
    assert check_columns(metric(**change), columns(**TYPES)) is instants


@pytest.mark.parametrize(
    ("change", "code", "sentence"),
    [
        ({"mart": "fct_support"}, "unknown_mart", "no mart 'fct_support'"),
        ({"column": "quantiti"}, "unknown_column", "did you mean 'quantity'"),
        ({"month": "day"}, "unknown_column", "has no column 'day'"),
        ({"customer": "customer"}, "unknown_column", "did you mean 'customer_key'"),
        ({"currency_column": "iso"}, "unknown_column", "has no column 'iso'"),
        ({"column": "ratio"}, "wrong_type", "double precision: only exact numbers"),
        ({"column": "customer_key"}, "wrong_type", "text: only exact numbers"),
        ({"month": "customer_key"}, "wrong_type", "text, not a date or an instant"),
        ({"month": "quantity"}, "wrong_type", "numeric, not a date or an instant"),
    ],
)
def test_what_a_mart_lacks_is_reported_with_the_metric(change: dict[str, Any], code: str, sentence: str) -> None:
    with pytest.raises(RefusalError) as refused:
        check_columns(metric(**change), columns(**TYPES))
    assert refused.value.code == code
    assert "'support.hours'" in refused.value.message
    assert sentence in refused.value.message


def test_a_mart_whose_rows_belong_to_no_tenant_is_none() -> None:
    with pytest.raises(RefusalError, match="no mart 'fct_usage_daily' with a tenant_id"):
        check_columns(metric(), columns(**{name: kind for name, kind in TYPES.items() if name != "tenant_id"}))


def found(*rows: tuple[str, str, date, str | None, str | None]) -> pl.DataFrame:
    exact = [(*row[:4], None if row[4] is None else Decimal(row[4])) for row in rows]
    schema = {"tenant": pl.String, "customer": pl.String, "month": pl.Date, "currency": pl.String, "value": EXACT}
    return pl.DataFrame(exact, schema=schema, orient="row")


def test_a_value_that_is_none_takes_its_tenant_s_whole_month_with_it() -> None:
    rows = found(
        ("acme", "c1", NOVEMBER, None, "1"),
        ("acme", "c2", NOVEMBER, None, None),
        ("acme", "c2", DECEMBER, None, "2"),
        ("birch", "c1", NOVEMBER, None, "3"),
    )
    counted, wrong = valid_metric_values(metric(), rows)
    assert counted.select("metric", "tenant", "month", "value").rows() == [
        ("support.hours", "acme", DECEMBER, Decimal(2)),
        ("support.hours", "birch", NOVEMBER, Decimal(3)),
    ]
    ((tenant, month, reason),) = wrong.rows()
    assert (tenant, month) == ("acme", NOVEMBER)
    assert "more than 20 digits" in reason


@pytest.mark.parametrize(("currency", "reason"), [(None, "holds nothing"), ("usd", "holds usd"), ("", "holds , which")])
def test_money_names_its_currency(currency: str | None, reason: str) -> None:
    rows = found(("acme", "c1", NOVEMBER, "USD", "1"), ("birch", "c1", NOVEMBER, currency, "1"))
    counted, wrong = valid_metric_values(metric(currency_column="currency"), rows)
    assert counted["tenant"].to_list() == ["acme"]
    assert reason in wrong["reason"].item()
