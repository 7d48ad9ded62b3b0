from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import polars as pl

from valueverse.catalog.document import parse_catalog
from valueverse.catalog.history import CatalogHistory
from valueverse.schemas.types import INSTANT

SCHEMA = {
    "tenant": pl.String,
    "type": pl.String,
    "time": INSTANT,
    "received_at": INSTANT,
    "source": pl.String,
    "id": pl.String,
    "known_until": INSTANT,
    "data": pl.String,
}


def catalog(*meters: str) -> dict[str, Any]:
    return {
        "schema": "valueverse.catalog/v1",
        "meters": [{"key": key, "event_type": "use", "aggregation": "count"} for key in meters],
        "plans": [{"key": "pro", "period": {"unit": "month"}, "currency": "JPY"}],
    }


def facts(*rows: dict[str, Any]) -> pl.DataFrame:
    base = {"tenant": "t", "type": "billing.catalog.published", "source": "s", "known_until": None}
    return pl.DataFrame([{**base, "id": str(number), **row} for number, row in enumerate(rows)], schema=SCHEMA)


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def published(on: int, document: object, **more: Any) -> dict[str, Any]:
    return {"time": day(on), "received_at": day(on), "data": json.dumps(document), **more}


def test_a_catalog_holds_from_its_time_until_the_next_one() -> None:
    history = CatalogHistory.from_facts(facts(published(1, catalog("a")), published(10, catalog("a", "b"))))
    assert history.meters.select("meter", "valid_from", "valid_to").rows() == [
        ("a", day(1), day(10)),
        ("a", day(10), None),
        ("b", day(10), None),
    ]
    assert history.plans.select("plan", "version", "currency", "every", "unit", "align", "grace_seconds").row(0) == (
        "pro",
        1,
        "JPY",
        1,
        "month",
        "anniversary",
        86_400,
    )


def test_of_two_for_the_same_time_the_one_received_later_holds() -> None:
    first, second = published(1, catalog("a")), published(1, catalog("b"), received_at=day(2))
    for rows in ((first, second), (second, first)):
        assert CatalogHistory.from_facts(facts(*rows)).meters["meter"].to_list() == ["b"]


def test_a_bad_catalog_is_rejected_with_its_reason_and_the_others_hold() -> None:
    history = CatalogHistory.from_facts(facts(published(1, catalog("a")), published(2, {"schema": "x"})))
    assert history.versions.height == 1
    assert history.rejected.select("tenant", "event_id", "reason").rows() == [("t", "1", "bad_catalog")]
    assert "(at schema)" in history.rejected["message"].item()


def test_what_was_replaced_counts_only_for_who_knew_no_better() -> None:
    rows = facts(
        published(1, catalog("a"), known_until=day(5)),
        published(1, catalog("b"), received_at=day(5)),
    )
    assert CatalogHistory.from_facts(rows).meters["meter"].to_list() == ["b"]
    assert CatalogHistory.from_facts(rows, known_at=day(3)).meters["meter"].to_list() == ["a"]


def test_tenants_that_publish_the_same_document_share_one_catalog() -> None:
    history = CatalogHistory.from_facts(facts(published(1, catalog("a")), published(1, catalog("a"), tenant="u")))
    assert len(history.catalogs) == 1
    assert history.versions["tenant"].to_list() == ["t", "u"]


def test_a_catalog_given_for_tenants_holds_from_the_beginning_of_time() -> None:
    history = CatalogHistory.everywhere(parse_catalog(catalog("a")), ["u", "t", "u"])
    assert history.versions["tenant"].to_list() == ["t", "u"]
    assert history.meters["valid_from"].max().year == 1  # type: ignore[union-attr]


def test_no_facts_make_an_empty_history() -> None:
    history = CatalogHistory.from_facts(facts())
    assert history.plans.is_empty()
    assert history.meters.is_empty()
    assert history.rejected.is_empty()
