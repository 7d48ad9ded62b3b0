"""Metrics that a catalog registers on marts: what is taken, what is refused, and what a hash covers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.catalog.test_document import YAML
from valueverse.catalog.document import catalog_hash, parse_catalog
from valueverse.errors import RefusalError

HOURS = {
    "key": "support.hours",
    "mart": "fct_usage_daily",
    "column": "quantity",
    "month": "usage_date",
    "customer": "customer_key",
    "aggregation": "sum",
}


def catalog(*metrics: dict[str, Any]) -> dict[str, Any]:
    return {"schema": "valueverse.catalog/v1", "metrics": list(metrics)}


def test_a_metric_is_a_column_of_a_mart_under_a_name() -> None:
    (metric,) = parse_catalog(catalog(HOURS)).metrics
    assert metric.columns() == {"column": "quantity", "month": "usage_date", "customer": "customer_key"}
    (money,) = parse_catalog(catalog(HOURS | {"currency_column": "currency"})).metrics
    assert money.columns()["currency_column"] == "currency"


def test_a_catalog_without_metrics_keeps_the_hash_it_had_before_there_were_any() -> None:
    assert catalog_hash(parse_catalog(YAML)) == "1861b6be1f264b77ec11a365309fbf0183f6773349e040f12c1dc4ba20f54f18"
    nothing = parse_catalog({"schema": "valueverse.catalog/v1"})
    assert catalog_hash(nothing) == "f34ba667cd5151e1944957c8bb797c7f0327a146e1cba1e3e6d8f80d7c01dbb7"
    assert catalog_hash(parse_catalog(catalog(HOURS))) != catalog_hash(nothing)


@pytest.mark.parametrize(
    ("change", "message_part", "path"),
    [
        ({"key": "usage.tokens"}, "'usage.tokens' is reserved", "key"),
        ({"key": "billing.mrr"}, "reserved", "key"),
        ({"key": "Support Hours"}, "is not a key", "key"),
        ({"key": "h" * 64}, "is not a key", "key"),
        ({"key": "24h"}, "no model can bind '24h'", "key"),
        ({"key": "support-hours"}, "'-' only behind a dot", "key"),
        ({"key": "support..hours"}, "names between the dots", "key"),
        ({"key": "support."}, "names between the dots", "key"),
        ({"mart": "stg_usage"}, "begin with fct_, dim_, agg_ or ops_", "mart"),
        ({"mart": "billing.invoice"}, "no name of a mart", "mart"),
        ({"mart": "fct_usage; drop table x"}, "no name of a mart", "mart"),
        ({"mart": "fct_" + "x" * 60}, "up to 63", "mart"),
        ({"mart": None}, "text is expected", "mart"),
        ({"column": "Quantity"}, "no name of a mart or column", "column"),
        ({"column": ""}, "no name of a mart or column", "column"),
        ({"column": 5}, "must be text", "column"),
        ({"month": '"day"'}, "no name of a mart or column", "month"),
        ({"customer": "1st"}, "a letter first", "customer"),
        ({"currency_column": "a.b"}, "no name of a mart or column", "currency_column"),
        ({"aggregation": "median"}, "'sum', 'mean', 'min', 'max', 'last' or 'count' is expected", "aggregation"),
        ({"colum": "x"}, "did you mean 'column'", "colum"),
    ],
)
def test_what_is_wrong_with_a_metric_is_refused_at_its_place(
    change: dict[str, Any], message_part: str, path: str
) -> None:
    with pytest.raises(RefusalError) as caught:
        parse_catalog(catalog(HOURS | {"key": "before"}, HOURS | change))
    assert (caught.value.code, caught.value.path) == ("bad_catalog", f"metrics[1].{path}")
    assert message_part in caught.value.message


@pytest.mark.parametrize("field", ["key", "mart", "column", "month", "aggregation"])
def test_a_metric_that_lacks_a_field_is_refused(field: str) -> None:
    with pytest.raises(RefusalError, match="required") as caught:
        parse_catalog(catalog({name: value for name, value in HOURS.items() if name != field}))
    assert caught.value.path == f"metrics[0].{field}"


def test_a_name_stands_for_one_metric() -> None:
    with pytest.raises(RefusalError, match="stands twice, first at metrics") as caught:
        parse_catalog(catalog(HOURS, HOURS | {"aggregation": "max"}))
    assert caught.value.path == "metrics[1]"


def test_a_catalog_registers_at_most_a_hundred_metrics() -> None:
    many = [HOURS | {"key": f"m{number}"} for number in range(101)]
    assert len(parse_catalog(catalog(*many[:100])).metrics) == 100
    with pytest.raises(RefusalError, match="101 metrics: at most 100") as caught:
        parse_catalog(catalog(*many))
    assert caught.value.path == "metrics"


def test_the_metric_in_the_documentation_is_valid() -> None:
    text = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text(encoding="utf-8")
    block = text.split("## Metrics of marts")[1].split("```yaml\n")[1].split("```")[0]
    (metric,) = parse_catalog(f"schema: valueverse.catalog/v1\n{block}").metrics
    assert metric == parse_catalog(catalog(HOURS)).metrics[0]
