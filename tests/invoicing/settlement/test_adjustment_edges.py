"""The instants, currencies and remainders at which coupons, wallets, notes and one-offs begin and cease to count."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.support.ledger import World, amounts

METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
USAGE = {"key": "tokens", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}
FEE = {"key": "base", "amount": "40", "timing": "in_arrears"}


def world(**catalog: Any) -> World:
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": [USAGE]} | catalog.pop("plan", {})
    acme = World({"meters": [METER], "plans": [plan]} | catalog)
    acme.start("2024-01-01")
    return acme


def used(acme: World, *months: str, value: str = "50") -> World:
    for month in months:
        acme.use(f"2024-{month}-05", "tokens", value)
    return acme


def discounts(acme: World, end: str) -> list[str]:
    return [one["discount_total"] for one in acme.documents("2024-01-01", end)]


def paid(acme: World, end: str) -> list[str]:
    return [one["credit_total"] for one in acme.documents("2024-01-01", end)]


def coupon(**more: Any) -> dict[str, Any]:
    return {"coupons": [{"key": "launch", "percent": "20"} | more]}


def wallet(acme: World, kind: str, time: str, amount: str, **more: Any) -> None:
    data = {"customer": "c1", "wallet": "main", "amount": amount, "currency": "USD"} | more
    acme.record(f"wallet.{kind}", time, data)


def test_a_coupon_applied_as_a_period_closes_lowers_the_next_one_first() -> None:
    acme = used(world(**coupon()), "01", "02")
    acme.record("coupon.applied", "2024-02-01", {"customer": "c1", "coupon": "launch"})
    assert discounts(acme, "2024-03-01") == ["0.00", "10.00"]


def test_a_coupon_applied_with_the_subscription_lowers_its_first_invoice() -> None:
    acme = world(plan={"fees": [FEE | {"timing": "in_advance"}], "charges": []}, **coupon())
    acme.record("coupon.applied", "2024-01-01", {"customer": "c1", "coupon": "launch"})
    assert discounts(acme, "2024-01-02") == ["8.00"]


def test_a_coupon_removed_as_a_period_closes_has_held_for_it() -> None:
    acme = used(world(**coupon()), "01", "02")
    acme.record("coupon.applied", "2024-01-01", {"customer": "c1", "coupon": "launch"})
    acme.record("coupon.removed", "2024-02-01", {"customer": "c1", "coupon": "launch"})
    assert discounts(acme, "2024-03-01") == ["10.00", "0.00"]


def test_a_coupon_of_one_subscription_leaves_the_customer_s_others_alone() -> None:
    acme = world(**coupon())
    acme.start("2024-01-01", subscription="s2")
    for subscription in ("s1", "s2"):
        acme.use("2024-01-05", "tokens", "50", subscription=subscription)
    acme.record("coupon.applied", "2024-01-02", {"subscription": "s2", "coupon": "launch"})
    found = {one["subscription"]: one["discount_total"] for one in acme.documents("2024-01-01", "2024-02-01")}
    assert found == {"s1": "0.00", "s2": "10.00"}


def test_a_coupon_of_a_customer_holds_for_as_many_periods_of_each_subscription() -> None:
    acme = world(**coupon(periods=1))
    acme.start("2024-01-01", subscription="s2")
    for month in ("01", "02"):
        for subscription in ("s1", "s2"):
            acme.use(f"2024-{month}-05", "tokens", "50", subscription=subscription)
    acme.record("coupon.applied", "2024-01-02", {"customer": "c1", "coupon": "launch"})
    assert discounts(acme, "2024-03-01") == ["10.00", "10.00", "0.00", "0.00"]


@pytest.mark.parametrize(("plans", "discount"), [(["pro"], "10.00"), (["max"], "0.00"), ([], "10.00")])
def test_a_coupon_that_names_plans_lowers_their_lines_only(plans: list[str], discount: str) -> None:
    catalog = coupon(applies_to={"plans": plans})
    plan = {"period": {"align": "calendar"}, "charges": [USAGE]}
    acme = World({"meters": [METER], "plans": [{"key": "pro"} | plan, {"key": "max"} | plan]} | catalog)
    acme.start("2024-01-01")
    acme.record("coupon.applied", "2024-01-02", {"customer": "c1", "coupon": "launch"})
    assert discounts(used(acme, "01"), "2024-02-01") == [discount]


def test_a_coupon_is_worth_what_the_catalog_in_force_when_it_was_applied_says() -> None:
    acme = used(world(**coupon()), "01")
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": [USAGE]}
    later = {"schema": "valueverse.catalog/v1", "meters": [METER], "plans": [plan]} | coupon(percent="50")
    acme.record("catalog.published", "2024-01-10", later)
    acme.record("coupon.applied", "2024-01-09", {"customer": "c1", "coupon": "launch"})
    assert discounts(acme, "2024-02-01") == ["10.00"]


def test_money_granted_up_to_the_instant_an_invoice_is_issued_pays_it() -> None:
    acme = used(world(), "01")
    wallet(acme, "granted", "2024-02-02", "7")  # closed on 1 February, issued after a day of grace
    wallet(acme, "granted", "2024-02-02T00:00:00.000001+00:00", "1")
    assert paid(acme, "2024-02-01") == ["7.00"]


def test_money_pays_invoices_of_its_currency_only() -> None:
    acme = used(world(), "01")
    wallet(acme, "granted", "2024-01-02", "7", currency="EUR")
    assert paid(acme, "2024-02-01") == ["0.00"]


def test_a_void_takes_from_the_blocks_of_its_wallet_as_spending_would() -> None:
    acme = used(world(), "01")
    wallet(acme, "purchased", "2024-01-02", "20")
    wallet(acme, "granted", "2024-01-03", "20")
    wallet(acme, "granted", "2024-01-03", "3", wallet="other")
    wallet(acme, "voided", "2024-01-04", "30")
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    assert january["credits"] == [
        {"kind": "wallet", "key": "other", "amount": "3.00"},
        {"kind": "wallet", "key": "main", "amount": "10.00"},
    ]


def test_a_credit_note_may_say_its_amount_line_by_line() -> None:
    acme = used(world(), "01", "02")
    lines = [{"line": 1, "amount": "5"}, {"line": 1, "amount": "7.5"}]
    note = {"invoice": "acme-000001", "lines": lines, "reason": "outage"}
    acme.record("credit_note.issued", "2024-02-10", note)
    assert paid(acme, "2024-03-01") == ["0.00", "12.50"]


def test_credit_notes_may_come_to_exactly_their_invoice_and_not_to_a_cent_more() -> None:
    acme = used(world(), "01", "02")
    for amount in ("30", "20", "0.01"):
        acme.record("credit_note.issued", "2024-02-10", {"invoice": "acme-000001", "amount": amount, "reason": "r"})
    billed = acme.bill("2024-01-01", "2024-03-01")
    assert billed.invoices.sort("close")["credit_total_minor"].to_list() == [0, 5000]
    assert billed.rejected.select("reason", "event_id").rows() == [("exceeds_invoice", acme.facts[-1]["id"])]


def test_a_one_off_at_the_instant_of_a_close_stands_on_the_invoice_after_it() -> None:
    acme = world()
    one_off = {"customer": "c1", "description": "set-up", "amount": "5", "currency": "USD"}
    acme.record("one_off.added", "2024-02-01", one_off)
    january, february = acme.documents("2024-01-01", "2024-03-01")
    assert [line["kind"] for line in january["lines"]] == ["usage"]
    assert [line["kind"] for line in february["lines"]] == ["usage", "one_off"]


def test_a_one_off_of_the_instant_of_a_start_stands_on_the_starting_invoice() -> None:
    acme = world(plan={"fees": [FEE | {"timing": "in_advance"}], "charges": []})
    one_off = {"customer": "c1", "description": "set-up", "amount": "5", "currency": "USD"}
    acme.record("one_off.added", "2024-01-01", one_off)
    start, *_ = acme.documents("2024-01-01", "2024-01-02")
    assert [amount for _, amount in amounts(start)] == ["40.00", "5.00"]


def test_a_one_off_is_known_by_its_event_and_serves_the_instant_at_which_it_was_added() -> None:
    acme = world()
    one_off = {"customer": "c1", "description": "set-up", "amount": "5", "currency": "USD"}
    acme.record("one_off.added", "2024-01-15", one_off, source="crm", id="n-1")
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    line = january["lines"][1]
    assert line["key"] == f"one_off-{hashlib.sha256(b'crm#n-1').hexdigest()[:12]}"
    assert line["description"] == "set-up"
    assert line["service_period"] == {"from": "2024-01-15T00:00:00Z", "to": "2024-01-15T00:00:00Z"}


@pytest.mark.parametrize(
    ("stated", "begins", "ends"),
    [
        ({"to": "2024-01-10"}, "2024-01-10T00:00:00Z", "2024-01-10T00:00:00Z"),
        ({"to": "2024-01-20"}, "2024-01-15T00:00:00Z", "2024-01-20T00:00:00Z"),
        ({"from": "2024-01-10"}, "2024-01-10T00:00:00Z", "2024-01-15T00:00:00Z"),
        ({"from": "2024-01-20"}, "2024-01-20T00:00:00Z", "2024-01-20T00:00:00Z"),
        ({"from": "2024-01-10", "to": "2024-01-09T23:00:00Z"}, "2024-01-10T00:00:00Z", "2024-01-10T00:00:00Z"),
    ],
)
def test_a_one_off_serves_no_time_that_ends_before_it_begins(stated: dict[str, str], begins: str, ends: str) -> None:
    acme = world()
    one_off = {"customer": "c1", "description": "set-up", "amount": "5", "currency": "USD", "service_period": stated}
    acme.record("one_off.added", "2024-01-15", one_off)
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    (line,) = [one for one in january["lines"] if one["kind"] == "one_off"]
    assert line["service_period"] == {"from": begins, "to": ends}


@pytest.mark.parametrize("kind", ["wallet.granted", "wallet.purchased", "wallet.voided", "one_off.added"])
def test_money_of_a_customer_without_a_billing_event_is_held_and_listed(kind: str) -> None:
    acme = world()
    data = {"customer": "c9", "wallet": "main", "description": "d", "amount": "5", "currency": "USD"}
    acme.record(kind, "2024-01-05", data)
    rejected = acme.bill("2024-01-01", "2024-02-01").rejected
    assert rejected.select("reason", "type").rows() == [("unknown_customer", f"billing.{kind}")]
    acme.record("customer.created", "2024-01-06", {"customer": "c9"})
    assert acme.bill("2024-01-01", "2024-02-01").rejected.is_empty()
