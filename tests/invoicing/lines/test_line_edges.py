"""Lines that depend on a detail: seconds of a period, the time that a minimum is for, events without a value."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.ledger import World, amounts

METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
USAGE = {"key": "tokens", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}


def world(**plan: Any) -> World:
    return World({"meters": [METER], "plans": [{"key": "pro", "period": {"align": "calendar"}} | plan]})


@pytest.mark.parametrize(("basis", "amount"), [("second", "14.50"), ("day", "15.00"), ("none", "30.00")])
def test_a_fee_counts_local_days_or_seconds_or_the_whole_period(basis: str, amount: str) -> None:
    acme = world(fees=[{"key": "base", "amount": "30", "timing": "in_arrears", "prorate": basis}])
    acme.start("2024-04-16T12:00:00+00:00")
    (april,) = acme.documents("2024-04-01", "2024-05-01")
    assert amounts(april) == [("base", amount)]


def test_a_minimum_is_for_the_period_that_it_closes() -> None:
    acme = world(charges=[USAGE], commitment={"minimum": "100"})
    acme.start("2024-01-01")
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    line = january["lines"][1]
    assert (line["key"], line["kind"], line["amount"], line["amount_precise"]) == (
        "commitment", "minimum", "100.00", "100",
    )  # fmt: skip
    assert line["service_period"] == {"from": "2024-01-01T00:00:00Z", "to": "2024-02-01T00:00:00Z"}
    assert (line["meter"], line["dimensions"], line["quantity"], line["tiers"]) == (None, None, None, [])


def test_an_event_without_a_value_costs_nothing_and_keeps_nothing_back() -> None:
    price = {"model": "percentage", "rate": "10", "fixed": "0.5"}
    acme = world(charges=[USAGE | {"price": price}])
    acme.start("2024-01-01")
    acme.use("2024-01-05", "tokens", "40")
    acme.use("2024-01-06", "tokens", None, status="no_value")
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    assert amounts(january) == [("tokens", "4.50")]
    assert january["lines"][0]["event_count"] == 1


def test_a_charge_without_usage_says_that_it_counted_no_event() -> None:
    acme = world(charges=[USAGE])
    acme.start("2024-01-01")
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    (line,) = january["lines"]
    assert (line["quantity"], line["event_count"], line["explains"]) == ("0", 0, "0 events of meter tokens")


def test_a_period_that_owes_nothing_else_still_bills_the_customer_s_one_off() -> None:
    acme = world()
    acme.start("2024-01-01")
    one_off = {"customer": "c1", "description": "set-up", "amount": "5", "currency": "USD"}
    acme.record("one_off.added", "2024-01-15", one_off)
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    assert january["subscription"] == "s1"
    assert january["period"] == {"from": "2024-01-01T00:00:00Z", "to": "2024-02-01T00:00:00Z"}
    assert [(line["kind"], line["amount"]) for line in january["lines"]] == [("one_off", "5.00")]
