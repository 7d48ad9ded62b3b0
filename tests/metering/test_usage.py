from __future__ import annotations

from typing import Any

import polars as pl

from tests.metering.helpers import at
from valueverse.catalog.document import Catalog, parse_catalog
from valueverse.catalog.history import CatalogHistory
from valueverse.metering.usage import MeterAssignments, derive_usage
from valueverse.schemas.metering import USAGE
from valueverse.schemas.types import INSTANT

CATALOG = parse_catalog("""
schema: valueverse.catalog/v1
meters:
  - {key: tokens, event_type: llm, aggregation: sum, value: usage.tokens, where: "region != 'internal'",
     dimensions: [region, model]}
  - {key: calls, event_type: llm, aggregation: count, where: "ok == true"}
  - {key: users, event_type: login, aggregation: unique_count, value: user, operation: action}
  - {key: size, event_type: login, aggregation: max, value: "a + 2 * b"}
""")
SCHEMA = {
    "tenant": pl.String,
    "source": pl.String,
    "id": pl.String,
    "type": pl.String,
    "customer": pl.String,
    "subscription": pl.String,
    "time": INSTANT,
    "event_date": pl.Date,
    "data": pl.String,
    "received_at": INSTANT,
    "root_id": pl.String,
    "known_until": INSTANT,
    "is_void": pl.Boolean,
    "awaiting_original": pl.Boolean,
}


def events(*rows: dict[str, Any]) -> pl.LazyFrame:
    base = {
        "tenant": "t",
        "source": "s",
        "customer": "c",
        "time": at("2026-01-05"),
        "received_at": at("2026-01-06"),
        "is_void": False,
        "awaiting_original": False,
    }
    filled = [
        {
            **base,
            "id": str(number),
            "root_id": str(number),
            "event_date": {**base, **row}["time"].date(),
            **row,
        }
        for number, row in enumerate(rows)
    ]
    return pl.DataFrame(filled, schema=SCHEMA).lazy()


def derived(*rows: dict[str, Any], history: CatalogHistory | None = None) -> list[tuple[Any, ...]]:
    history = history or CatalogHistory.everywhere(CATALOG, ["t"])
    found = derive_usage(events(*rows), history).collect(engine="streaming")
    assert found.schema == USAGE
    return (
        found.select(
            "id",
            "meter",
            pl.col("value").cast(pl.String).str.strip_chars_end("0").str.strip_chars_end("."),
            "text_value",
            "operation",
            "dimensions",
            "status",
        )
        .sort("id", "meter")
        .rows()
    )


def test_an_event_feeds_every_meter_of_its_type_that_takes_it() -> None:
    data = '{"usage":{"tokens":"12.5"},"region":"eu","model":"a\\"b\\n","ok":true}'
    assert derived({"type": "llm", "data": data}) == [
        ("0", "calls", "1", None, None, "", "ok"),
        ("0", "tokens", "12.5", None, None, '{"model":"a\\"b\\n","region":"eu"}', "ok"),
    ]


def test_a_value_that_is_missing_or_no_number_is_unbilled_and_never_zero() -> None:
    rows = derived(
        {"type": "llm", "data": '{"usage":{"tokens":true}}'},
        {"type": "llm", "data": '{"usage":5}'},
        {"type": "login", "data": '{"action":"add","a":1,"b":2}'},
        {"type": "login", "data": '{"user":"x","action":"replace","a":1,"b":2}'},
    )
    assert [(row[0], row[1], row[2], row[6]) for row in rows] == [
        ("0", "tokens", None, "no_value"),
        ("1", "tokens", None, "no_value"),
        ("2", "size", "5", "ok"),
        ("2", "users", None, "no_value"),
        ("3", "size", "5", "ok"),
        ("3", "users", None, "no_value"),
    ]


def test_operations_default_to_add() -> None:
    rows = derived({"type": "login", "data": '{"user":"x"}'}, {"type": "login", "data": '{"user":7,"action":"remove"}'})
    assert [(row[3], row[4]) for row in rows if row[1] == "users"] == [("x", "add"), ("7", "remove")]


def test_every_event_keeps_a_row() -> None:
    rows = derived(
        {"type": "llm", "data": '{"region":"internal"}'},
        {"type": "other", "data": "{}"},
        {"type": "llm", "data": None, "is_void": True},
        {"type": "llm", "data": "{}", "awaiting_original": True},
        {"type": "llm", "data": "{}", "tenant": "stranger"},
        {"type": "billing.x", "data": "{}"},
    )
    assert [(row[0], row[1], row[6]) for row in rows] == [
        ("0", None, "no_meter"),
        ("1", None, "no_meter"),
        ("2", None, "void"),
        ("3", None, "awaiting_original"),
        ("4", None, "no_meter"),
    ]


def test_missing_dimensions_are_left_out() -> None:
    rows = derived(
        {"type": "llm", "data": '{"usage":{"tokens":1},"model":null,"region":5}'},
        {"type": "llm", "data": '{"usage":{"tokens":1}}'},
    )
    assert [row[5] for row in rows] == ['{"region":"5"}', "{}"]


def _published(first: Catalog, later: Catalog) -> CatalogHistory:
    """The first from 2026-01-01 on, the later from 2026-01-10 on."""
    facts = pl.DataFrame(
        [
            {
                "tenant": "t",
                "type": "billing.catalog.published",
                "time": time,
                "received_at": time,
                "source": "s",
                "id": time.isoformat(),
                "data": catalog.model_dump_json(by_alias=True, exclude_unset=True),
            }
            for catalog, time in ((first, at("2026-01-01")), (later, at("2026-01-10")))
        ],
        schema_overrides={"time": INSTANT, "received_at": INSTANT},
    ).with_columns(pl.lit(None, INSTANT).alias("known_until"))
    return CatalogHistory.from_facts(facts)


def test_the_catalog_in_force_at_the_events_time_decides() -> None:
    later = parse_catalog(
        {
            "schema": "valueverse.catalog/v1",
            "meters": [{"key": "calls", "event_type": "llm", "aggregation": "sum", "value": "n"}],
        }
    )
    first = parse_catalog(
        {
            "schema": "valueverse.catalog/v1",
            "meters": [{"key": "calls", "event_type": "llm", "aggregation": "count"}],
        }
    )
    rows = derived(
        {"type": "llm", "data": '{"n":7}', "time": at("2025-12-31")},
        {"type": "llm", "data": '{"n":7}', "time": at("2026-01-01")},
        {"type": "llm", "data": '{"n":7}', "time": at("2026-01-10")},
        history=_published(first, later),
    )
    assert [(row[1], row[2], row[6]) for row in rows] == [
        (None, None, "no_meter"),
        ("calls", "1", "ok"),
        ("calls", "7", "ok"),
    ]


def test_what_a_meter_is_called_makes_no_other_set_of_meters() -> None:
    meter = {"key": "calls", "event_type": "llm", "aggregation": "count"}
    named = {**meter, "name": "Calls", "unit": "calls", "translations": {"de": {"name": "Aufrufe"}}}
    plain, other = (parse_catalog({"schema": "valueverse.catalog/v1", "meters": [one]}) for one in (meter, named))
    assert len(MeterAssignments.of(_published(plain, other)).sets) == 1


def test_events_of_many_batches_come_out_once_each() -> None:
    rows = [{"type": "llm", "data": f'{{"usage":{{"tokens":{number}}},"ok":true}}'} for number in range(500)]
    found = derived(*rows)
    assert len(found) == 1_000


def test_events_not_yet_resolved_are_resolved_and_every_version_stays() -> None:
    received = [at("2026-01-06"), at("2026-01-08"), at("2026-01-09")]
    rows = [
        {"id": "a", "type": "llm", "data": '{"usage":{"tokens":1}}', "received_at": received[0]},
        {"id": "b", "type": "llm", "data": '{"usage":{"tokens":2}}', "received_at": received[1]},
        {"id": "c", "type": "llm", "data": None, "received_at": received[2]},
    ]
    raw = (
        events(*rows)
        .drop("root_id", "known_until", "is_void", "awaiting_original")
        .with_columns(pl.Series("replaces", [None, "a", "b"], dtype=pl.String))
    )
    found = derive_usage(raw, CatalogHistory.everywhere(CATALOG, ["t"])).collect().sort("id")
    assert found.select("id", "root_id", "known_until", "status").rows() == [
        ("a", "a", received[1], "ok"),
        ("b", "a", received[2], "ok"),
        ("c", "a", None, "void"),
    ]


def test_a_field_that_the_aggregation_does_not_read_changes_nothing() -> None:
    catalog = parse_catalog(
        {
            "schema": "valueverse.catalog/v1",
            "meters": [
                {"key": "calls", "event_type": "x", "aggregation": "count", "value": "n"},
                {"key": "total", "event_type": "x", "aggregation": "sum", "value": "n", "operation": "op"},
            ],
        }
    )
    rows = derived(
        {"type": "x", "data": '{"op":"remove","n":2}'},
        {"type": "x", "data": "{}"},
        history=CatalogHistory.everywhere(catalog, ["t"]),
    )
    assert [(row[1], row[2], row[4], row[6]) for row in rows] == [
        ("calls", "1", None, "ok"),
        ("total", "2", None, "ok"),
        ("calls", "1", None, "ok"),
        ("total", None, None, "no_value"),
    ]


DISTINCT = parse_catalog("""
schema: valueverse.catalog/v1
meters:
  - {key: users, event_type: login, aggregation: unique_count, value: user, dimensions: [tier]}
  - {key: pairs, event_type: pair, aggregation: unique_count, value: "a+b"}
  - {key: names, event_type: pair, aggregation: unique_count, value: "coalesce(user, device)"}
""")


def test_one_number_is_one_value_however_it_is_written_and_a_text_is_another() -> None:
    data = ['{"user":1.0,"tier":2.00}', '{"tier" : 2, "user" : 1}', '{"user":"1.0","tier":"2.0"}', '{"user":1.50}']
    data.append('{"note":"\\\\\\": 1.0,","user":"x","tier":10.0}')
    history = CatalogHistory.everywhere(DISTINCT, ["t"])
    rows = derived(*({"type": "login", "data": text} for text in data), history=history)
    assert [(row[3], row[5]) for row in rows] == [
        ("1", '{"tier":"2"}'), ("1", '{"tier":"2"}'), ("1.0", '{"tier":"2.0"}'), ("1.5", "{}"), ("x", '{"tier":"10"}'),
    ]  # fmt: skip


def test_what_is_counted_as_distinct_may_be_a_formula() -> None:
    data = ['{"a":1.0,"b":2,"device":"d"}', '{"a":"1.5","b":1.5,"user":"u","device":"d"}', '{"a":1,"user":7.0}']
    history = CatalogHistory.everywhere(DISTINCT, ["t"])
    rows = derived(*({"type": "pair", "data": text} for text in data), history=history)
    assert [(row[1], row[3], row[6]) for row in rows] == [
        ("names", "d", "ok"), ("pairs", "3", "ok"), ("names", "u", "ok"), ("pairs", "3", "ok"),
        ("names", "7", "ok"), ("pairs", None, "no_value"),
    ]  # fmt: skip
