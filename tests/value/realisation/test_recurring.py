"""Recurring revenue by contract: what a whole month of the fees in force is invoiced at."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from tests.support.ledger import World
from valueverse.catalog import CatalogHistory
from valueverse.subscriptions import build_timeline
from valueverse.value.realisation import contracted_mrr, recurring_sources

MONTHS = [date(2024, month, 1) for month in range(1, 7)]


def world(*plans: dict[str, Any]) -> World:
    return World({"currency": "USD", "plans": list(plans)})


def plan(key: str, *fees: dict[str, Any], unit: str = "month", every: int = 1, **more: Any) -> dict[str, Any]:
    return {"key": key, "period": {"unit": unit, "every": every, "align": "calendar"}, "fees": list(fees)} | more


def fee(amount: str, **more: Any) -> dict[str, Any]:
    return {"key": "base", "amount": amount} | more


def recurring(company: World, customer: str = "c1") -> dict[str, Decimal]:
    found = contracted_mrr(company.timeline(), company.history(), MONTHS)
    rows = found.filter(customer=customer).select("month", "value").iter_rows()
    return {f"{month:%m}": value.normalize() for month, value in rows}


@pytest.mark.parametrize(
    ("unit", "every", "amount", "expected"),
    [
        ("month", 1, "30", "30"),
        ("month", 3, "30", "10"),
        ("quarter", 1, "30", "10"),
        ("year", 1, "120", "10"),
        ("year", 2, "120", "5"),
        ("week", 1, "84", "365"),
        ("day", 1, "12", "365"),
    ],
)
def test_a_fee_counts_for_one_month_whatever_its_period_is(unit: str, every: int, amount: str, expected: str) -> None:
    company = world(plan("pro", fee(amount), unit=unit, every=every))
    company.start("2024-01-01")
    assert set(recurring(company).values()) == {Decimal(expected)}


@pytest.mark.parametrize("timing", ["in_advance", "in_arrears"])
def test_a_whole_month_is_invoiced_at_it(timing: str) -> None:
    seats = {"key": "seats", "unit_amount": "7.25", "quantity": 3, "timing": timing}
    company = world(plan("pro", fee("19.99", timing=timing), seats))
    company.start("2024-01-01", quantities={"seats": 5})
    documents = company.documents("2024-01-31", "2024-03-31")
    invoiced = {line["service_period"]["from"][5:7]: Decimal(0) for document in documents for line in document["lines"]}
    for document in documents:
        for line in document["lines"]:
            invoiced[line["service_period"]["from"][5:7]] += Decimal(line["amount"])
    assert invoiced["02"] == recurring(company)["02"] == Decimal("56.24")


def test_what_ends_with_the_month_counts_in_it_and_the_customer_has_a_row_of_nothing_in_the_next() -> None:
    company = world(plan("pro", fee("30")))
    company.start("2024-01-10")
    company.record("subscription.ended", "2024-03-01", {"subscription": "s1"})
    assert recurring(company) == {"01": 30, "02": 30, "03": 0}
    company.start("2024-05-31", subscription="s2")
    assert recurring(company) == {"01": 30, "02": 30, "03": 0, "05": 30, "06": 30}


def test_a_change_counts_at_the_end_of_its_month_and_each_subscription_adds_up() -> None:
    company = world(plan("pro", fee("30")), plan("max", fee("50")))
    company.start("2024-01-01")
    company.start("2024-02-15", subscription="s2")
    company.record("subscription.changed", "2024-03-20", {"subscription": "s1", "plan": "max"})
    company.record("subscription.ended", "2024-04-30", {"subscription": "s2"})
    assert recurring(company) == {"01": 30, "02": 60, "03": 80, "04": 50, "05": 50, "06": 50}
    sources = recurring_sources(company.timeline(), company.history(), "c1", MONTHS[2])
    assert sources.rows() == [("s1", "max", "USD", Decimal(50)), ("s2", "pro", "USD", Decimal(30))]


def test_trials_and_pauses_have_none_and_usage_is_not_of_it() -> None:
    meter = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
    charge = {"key": "tokens", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}
    catalog = {
        "currency": "USD",
        "meters": [meter],
        "plans": [plan("pro", fee("30"), charges=[charge], trial={"days": 45})],
    }
    company = World(catalog)
    company.start("2024-01-01")
    company.use("2024-03-02", "tokens", "1000")
    company.record("subscription.paused", "2024-04-10", {"subscription": "s1"})
    company.record("subscription.resumed", "2024-05-10", {"subscription": "s1"})
    assert recurring(company) == {"02": 30, "03": 30, "04": 0, "05": 30, "06": 30}


def test_the_months_are_those_of_the_tenants_zone() -> None:
    company = World({"currency": "USD", "timezone": "Asia/Tokyo", "plans": [plan("pro", fee("30"))]})
    company.start("2024-01-31T15:00:00Z")
    assert recurring(company) == dict.fromkeys(("02", "03", "04", "05", "06"), 30)


def test_a_customer_of_another_tenant_adds_nothing() -> None:
    worlds = [world(plan("pro", fee("30"))), World({"currency": "USD", "plans": [plan("pro", fee("7"))]}, tenant="b")]
    for company in worlds:
        company.start("2024-01-01")
    facts = pl.concat([company.facts_frame() for company in worlds])
    history = CatalogHistory.from_facts(facts)
    found = contracted_mrr(build_timeline(facts, history.plans, None, holds=False), history, MONTHS[:1])
    assert found.select("tenant", "value").rows() == [("acme", Decimal(30)), ("b", Decimal(7))]
