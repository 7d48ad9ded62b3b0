from __future__ import annotations

import gzip
import json
from typing import Any

from valueverse.demo import harbor
from valueverse.demo.harbor_catalog import CATALOG


def _lines(content: bytes) -> list[str]:
    text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    return text.decode().splitlines()


def test_the_same_seed_gives_the_same_bytes() -> None:
    assert harbor.landing_files(12) == harbor.landing_files(12)
    assert harbor.late_files(12) == harbor.late_files(12)
    assert harbor.landing_files(12, seed=1) != harbor.landing_files(12, seed=2)


def test_the_catalog_uses_every_price_and_aggregation_of_the_skeleton() -> None:
    charges = [charge for plan in CATALOG["plans"] for charge in plan["charges"]]
    assert {charge["price"]["model"] for charge in charges} == {
        "standard",
        "graduated",
        "volume",
        "package",
        "percentage",
    }
    assert {meter["aggregation"] for meter in CATALOG["meters"]} == {
        "count",
        "sum",
        "max",
        "unique_count",
        "latest",
    }
    assert {plan["period"]["align"] for plan in CATALOG["plans"]} == {"calendar", "anniversary"}
    assert {fee["timing"] for plan in CATALOG["plans"] for fee in plan["fees"]} == {
        "in_advance",
        "in_arrears",
    }


def test_customers_are_spread_over_all_plans_and_two_time_zones() -> None:
    everybody = harbor.customers()
    assert len({one.key for one in everybody}) == harbor.CUSTOMERS
    assert {one.plan for one in everybody} == set(harbor.PLANS)
    assert {one.zone for one in everybody} == {"Europe/Berlin", "America/New_York"}
    assert all(one.start < one.end <= harbor.CLOSING for one in everybody)


def test_files_come_as_plain_and_compressed_ndjson_and_csv() -> None:
    names = {file.name for file in harbor.landing_files(12)}
    assert {"requests.ndjson.gz", "storage.csv", "payments.csv.gz", "licences.ndjson"} <= names


def test_late_events_are_in_the_second_delivery_only() -> None:
    first = {file.name: _lines(file.content) for file in harbor.landing_files(12)}
    prompt = {json.loads(line)["id"] for line in first["requests.ndjson.gz"]}
    second = [json.loads(line) for line in _lines(harbor.late_files(12)[0].content)]
    late: list[dict[str, Any]] = [event for event in second if event["id"] not in prompt]
    assert len(late) > 20
    assert len(second) - len(late) == 25
    assert {event["time"][:10] for event in late} >= {"2024-02-29", "2024-03-31"}


def test_incidents_hold_amendments_voids_and_a_conflict() -> None:
    files = {file.name: _lines(file.content) for file in harbor.landing_files(12)}
    prompt = {event["id"]: event for event in map(json.loads, files["requests.ndjson.gz"])}
    odd = []
    for line in files["support-incidents.ndjson"]:
        try:
            odd.append(json.loads(line))
        except ValueError:
            continue
    assert any(event["data"] is None and event.get("replaces") in prompt for event in odd)
    assert any(event["id"] in prompt and event != prompt[event["id"]] for event in odd if event["id"] != "bad-1")
    assert any(event.get("replaces") == "never-sent" for event in odd)
