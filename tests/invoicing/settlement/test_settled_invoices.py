"""Taxes, commitments, coupons, wallets, credit notes and one-offs on the invoices that the engine bills."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.support.ledger import World, amounts

METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
USAGE = {"key": "tokens", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}


def world(**catalog: Any) -> World:
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": [USAGE]} | catalog.pop("plan", {})
    acme = World({"meters": [METER], "plans": [plan]} | catalog)
    acme.start("2024-01-01")
    return acme


def money(document: dict[str, Any], *names: str) -> list[str]:
    return [document[name] for name in names]


TOTALS = ("subtotal", "discount_total", "tax_total", "total", "credit_total", "amount_due")


def test_a_charge_s_tax_comes_before_the_plan_s_and_rates_of_one_level_add() -> None:
    taxes = [{"key": "vat", "percent": "19"}, {"key": "state", "percent": "4"}, {"key": "city", "percent": "2.5"}]
    fee = {"key": "base", "amount": "100", "timing": "in_arrears"}
    acme = world(taxes=taxes, plan={"taxes": ["vat"], "fees": [fee], "charges": [USAGE | {"taxes": ["state", "city"]}]})
    acme.use("2024-01-05", "tokens", "10")
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    assert january["taxes"] == [
        {"key": "vat", "percent": "19", "base": "100.00", "amount": "19.00", "lines": [1]},
        {"key": "state+city", "percent": "6.5", "base": "10.00", "amount": "0.65", "lines": [2]},
    ]
    assert money(january, *TOTALS) == ["110.00", "0.00", "19.65", "129.65", "0.00", "129.65"]


@pytest.mark.parametrize(
    ("country", "rates", "expected"),
    [
        ("DE", None, "19.00"),
        ("FR", None, "0.00"),
        (None, None, "0.00"),
        ("DE", ["7"], "7.00"),
        ("DE", [{"percent": "10"}, "5"], "15.00"),
        ("DE", ["special"], "1.00"),
        ("DE", [], "0.00"),
    ],
)
def test_a_customer_s_rates_come_before_those_of_the_tenant_for_the_customer_s_country(
    country: str | None, rates: list[Any] | None, expected: str
) -> None:
    taxes = [{"key": "vat_de", "percent": "19", "country": "DE"}, {"key": "special", "percent": "1", "country": "CH"}]
    acme = world(taxes=taxes)
    created = {"country": country, "tax_rates": rates}
    acme.record(
        "customer.created", "2024-01-01", {"customer": "c1"} | {k: v for k, v in created.items() if v is not None}
    )
    acme.use("2024-01-05", "tokens", "100")
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    assert january["tax_total"] == expected


def test_a_tax_named_by_a_plan_holds_for_customers_of_its_country_and_of_no_country() -> None:
    acme = world(taxes=[{"key": "vat", "percent": "20", "country": "FR"}], plan={"taxes": ["vat"]})
    acme.start("2024-01-01", subscription="s2", customer="c2")
    acme.record("customer.created", "2024-01-01", {"customer": "c2", "country": "US"})
    for customer in ("c1", "c2"):
        acme.use("2024-01-05", "tokens", "10", customer=customer)
    assert [one["tax_total"] for one in acme.documents("2024-01-01", "2024-02-01")] == ["2.00", "0.00"]


def test_an_unknown_tax_key_of_a_customer_holds_the_invoice_back() -> None:
    acme = world()
    acme.record("customer.created", "2024-01-01", {"customer": "c1", "tax_rates": ["nosuch"]})
    billed = acme.bill("2024-01-01", "2024-02-01")
    assert billed.invoices.is_empty()
    assert billed.problems["problem"].to_list() == ["unknown_tax"]


def test_a_commitment_trues_up_what_fees_in_advance_and_usage_of_the_period_lack() -> None:
    plan = {"fees": [{"key": "base", "amount": "30"}], "commitment": {"minimum": "100"}}
    acme = world(plan=plan)
    acme.use("2024-01-05", "tokens", "20")
    acme.use("2024-02-05", "tokens", "90")
    start, january, february = acme.documents("2024-01-01", "2024-03-01")
    assert amounts(start) == [("base", "30.00")]
    assert amounts(january) == [("base", "30.00"), ("tokens", "20.00"), ("commitment", "50.00")]
    assert january["lines"][2]["kind"] == "minimum"
    assert amounts(february) == [("base", "30.00"), ("tokens", "90.00")]


def test_a_commitment_is_prorated_by_the_days_of_each_plan() -> None:
    plans = [
        {"key": key, "period": {"align": "calendar"}, "charges": [USAGE], "commitment": {"minimum": minimum}}
        for key, minimum in (("pro", "310"), ("max", "620"))
    ]
    acme = World({"meters": [METER], "plans": plans})
    acme.start("2024-01-11")
    acme.record("subscription.changed", "2024-01-21", {"subscription": "s1", "plan": "max"})
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    assert january["total"] == "320.00"


def coupon(**more: Any) -> dict[str, Any]:
    return {"coupons": [{"key": "launch", "percent": "20"} | more]}


def test_a_coupon_lowers_as_many_invoices_as_it_has_periods() -> None:
    acme = world(**coupon(periods=2))
    acme.record("coupon.applied", "2024-01-10", {"customer": "c1", "coupon": "launch"})
    for month in ("01", "02", "03"):
        acme.use(f"2024-{month}-05", "tokens", "50")
    found = acme.documents("2024-01-01", "2024-04-01")
    assert [one["discount_total"] for one in found] == ["10.00", "10.00", "0.00"]
    assert found[0]["discounts"] == [{"key": "launch", "amount": "10.00"}]
    assert money(found[0], *TOTALS) == ["50.00", "10.00", "0.00", "40.00", "0.00", "40.00"]


def test_several_invoices_of_one_period_use_a_coupon_up_once() -> None:
    acme = world(plan={"fees": [{"key": "base", "amount": "100"}], "threshold": "30"}, **coupon(periods=1))
    acme.record("coupon.applied", "2024-01-01", {"customer": "c1", "coupon": "launch"})
    for month in ("01", "02"):
        acme.use(f"2024-{month}-05", "tokens", "50")
    found = acme.documents("2024-01-01", "2024-03-01")
    assert [one["discount_total"] for one in found] == ["20.00", "10.00", "20.00", "0.00", "0.00"]


def test_a_coupon_holds_from_its_application_until_its_removal() -> None:
    acme = world(**coupon())
    acme.record("coupon.applied", "2024-02-01", {"subscription": "s1", "coupon": "launch"})
    acme.record("coupon.removed", "2024-03-10", {"subscription": "s1", "coupon": "launch"})
    for month in ("01", "02", "03"):
        acme.use(f"2024-{month}-05", "tokens", "50")
    found = acme.documents("2024-01-01", "2024-04-01")
    assert [one["discount_total"] for one in found] == ["0.00", "10.00", "0.00"]


def test_an_amount_coupon_never_takes_more_than_its_lines_and_only_in_its_currency() -> None:
    coupons = [
        {"key": "small", "amount": "60", "currency": "USD", "applies_to": {"charges": ["tokens"]}},
        {"key": "euro", "amount": "5", "currency": "EUR"},
    ]
    fee = {"key": "base", "amount": "10", "timing": "in_arrears"}
    acme = world(coupons=coupons, plan={"fees": [fee]})
    for key in ("small", "euro"):
        acme.record("coupon.applied", "2024-01-01", {"customer": "c1", "coupon": key})
    acme.use("2024-01-05", "tokens", "50")
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    assert money(january, *TOTALS) == ["60.00", "50.00", "0.00", "10.00", "0.00", "10.00"]


def test_tax_is_on_lines_net_of_coupons() -> None:
    acme = world(taxes=[{"key": "vat", "percent": "10"}], plan={"taxes": ["vat"]}, **coupon())
    acme.record("coupon.applied", "2024-01-01", {"customer": "c1", "coupon": "launch"})
    acme.use("2024-01-05", "tokens", "100")
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    assert money(january, *TOTALS) == ["100.00", "20.00", "8.00", "88.00", "0.00", "88.00"]


def wallet(acme: World, kind: str, time: str, amount: str, **more: Any) -> None:
    data = {"customer": "c1", "wallet": "main", "amount": amount, "currency": "USD"} | more
    acme.record(f"wallet.{kind}", time, data)


def test_a_wallet_pays_invoice_after_invoice_until_it_is_empty() -> None:
    acme = world()
    wallet(acme, "purchased", "2024-01-02", "70")
    for month in ("01", "02", "03"):
        acme.use(f"2024-{month}-05", "tokens", "50")
    found = acme.documents("2024-01-01", "2024-04-01")
    assert [one["amount_due"] for one in found] == ["0.00", "30.00", "50.00"]
    assert found[1]["credits"] == [{"kind": "wallet", "key": "main", "amount": "20.00"}]


def test_sources_and_ids_that_read_alike_when_joined_are_two_grants() -> None:
    acme = world()
    for source, id_ in (("a#b", "c"), ("a", "b#c")):
        data = {"customer": "c1", "wallet": "main", "amount": "20", "currency": "USD"}
        acme.record("wallet.granted", "2024-01-02", data, source=source, id=id_)
    acme.use("2024-01-05", "tokens", "50")
    assert acme.documents("2024-01-01", "2024-02-01")[0]["credit_total"] == "40.00"


def test_granted_money_goes_before_purchased_expired_money_not_at_all() -> None:
    acme = world()
    wallet(acme, "purchased", "2024-01-02", "30", wallet="bought")
    wallet(acme, "granted", "2024-01-03", "10", wallet="gift")
    wallet(acme, "granted", "2024-01-03", "500", wallet="old", expires_at="2024-01-20")
    acme.use("2024-01-05", "tokens", "25")
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    assert january["credits"] == [
        {"kind": "wallet", "key": "gift", "amount": "10.00"},
        {"kind": "wallet", "key": "bought", "amount": "15.00"},
    ]


def test_a_wallet_restricted_to_charges_pays_nothing_else() -> None:
    fee = {"key": "base", "amount": "40", "timing": "in_arrears"}
    acme = world(plan={"fees": [fee]})
    wallet(acme, "granted", "2024-01-02", "100", restrict_to=["tokens"])
    acme.use("2024-01-05", "tokens", "25")
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    assert money(january, "credit_total", "amount_due") == ["25.00", "40.00"]


def test_voiding_a_wallet_takes_what_is_left_of_it_and_no_more() -> None:
    acme = world()
    wallet(acme, "purchased", "2024-01-02", "70")
    wallet(acme, "voided", "2024-02-10", "500")
    wallet(acme, "purchased", "2024-02-11", "5")
    for month in ("01", "02"):
        acme.use(f"2024-{month}-05", "tokens", "50")
    found = acme.documents("2024-01-01", "2024-03-01")
    assert [one["credit_total"] for one in found] == ["50.00", "5.00"]


def test_voiding_a_wallet_takes_nothing_of_what_had_expired_by_then() -> None:
    acme = world()
    wallet(acme, "granted", "2024-01-01", "50", expires_at="2024-01-20")
    wallet(acme, "granted", "2024-01-02", "50")
    wallet(acme, "voided", "2024-01-25", "40")
    acme.use("2024-01-05", "tokens", "100")
    assert [one["credit_total"] for one in acme.documents("2024-01-01", "2024-02-01")] == ["10.00"]


def test_a_credit_note_pays_the_next_invoice_and_is_used_up_once() -> None:
    acme = world()
    for month in ("01", "02", "03"):
        acme.use(f"2024-{month}-05", "tokens", "50")
    note = {"invoice": "acme-000001", "amount": "20", "reason": "outage"}
    acme.record("credit_note.issued", "2024-02-10", note, id="note-1")
    found = acme.documents("2024-01-01", "2024-04-01")
    assert [one["amount_due"] for one in found] == ["50.00", "30.00", "50.00"]
    assert found[1]["credits"] == [{"kind": "credit_note", "key": "note-1", "amount": "20.00"}]


def test_credit_notes_never_exceed_their_invoice() -> None:
    acme = world()
    for month in ("01", "02"):
        acme.use(f"2024-{month}-05", "tokens", "50")
    for amount in ("30", "30"):
        acme.record("credit_note.issued", "2024-02-10", {"invoice": "acme-000001", "amount": amount, "reason": "r"})
    acme.record("credit_note.issued", "2024-02-10", {"invoice": "acme-000009", "amount": "1", "reason": "r"})
    billed = acme.bill("2024-01-01", "2024-03-01")
    assert sorted(billed.rejected["reason"]) == ["exceeds_invoice", "unknown_invoice"]
    assert billed.invoices.sort("close")["amount_due_minor"].to_list() == [5000, 2000]


def test_an_invoice_below_zero_leaves_its_money_to_the_next() -> None:
    fee = {"key": "base", "amount": "310"}
    acme = world(plan={"fees": [fee]})
    acme.start("2024-01-01", subscription="s2")
    acme.record("subscription.ended", "2024-01-11", {"subscription": "s2"})
    found = acme.documents("2024-01-02", "2024-02-01")
    assert [(one["subscription"], one["total"], one["amount_due"]) for one in found] == [
        ("s2", "-210.00", "-210.00"),
        ("s1", "310.00", "100.00"),
    ]


def test_a_one_off_stands_on_the_customer_s_next_invoice_outside_the_commitment() -> None:
    acme = world(plan={"commitment": {"minimum": "100"}})
    one_off = {"customer": "c1", "description": "set-up", "amount": "99.995", "currency": "USD"}
    acme.record("one_off.added", "2024-01-15", one_off)
    january, february = acme.documents("2024-01-01", "2024-03-01")
    assert [(line["kind"], line["amount"]) for line in january["lines"]] == [
        ("usage", "0.00"),
        ("minimum", "100.00"),
        ("one_off", "100.00"),
    ]
    assert january["lines"][2]["amount_precise"] == "99.995"
    assert [line["kind"] for line in february["lines"]] == ["usage", "minimum"]


def test_a_one_off_of_a_customer_without_a_subscription_makes_its_own_invoice() -> None:
    acme = world()
    acme.record("customer.created", "2024-01-01", {"customer": "c9", "timezone": "Europe/Berlin"})
    one_off = {"customer": "c9", "description": "audit", "amount": "250", "currency": "EUR"}
    acme.record(
        "one_off.added",
        "2024-01-15T23:30:00Z",
        one_off | {"service_period": {"from": "2024-01-01", "to": "2024-01-15"}},
    )
    (alone,) = (one for one in acme.documents("2024-01-01", "2024-02-01") if one["customer"] == "c9")
    assert (alone["subscription"], alone["currency"], alone["total"]) == (None, "EUR", "250.00")
    assert alone["issued_on"] == "2024-01-17"
    assert alone["lines"][0]["service_period"] == {"from": "2024-01-01T00:00:00Z", "to": "2024-01-15T00:00:00Z"}


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        ("coupon.applied", {"customer": "c1", "coupon": "nosuch"}, "unknown_coupon"),
        ("coupon.removed", {"customer": "c1", "coupon": "launch"}, "not_applied"),
        ("coupon.applied", {"subscription": "s9", "coupon": "launch"}, "unknown_subscription"),
        (
            "one_off.added",
            {"customer": "c9", "description": "d", "amount": "1", "currency": "USD"},
            "unknown_customer",
        ),
    ],
)
def test_what_cannot_be_applied_is_listed_with_the_reason(kind: str, data: dict[str, Any], reason: str) -> None:
    acme = world(**coupon())
    acme.record(kind, "2024-01-05", data)
    assert acme.bill("2024-01-01", "2024-02-01").rejected["reason"].to_list() == [reason]


def test_the_same_coupon_twice_is_refused_until_it_was_removed() -> None:
    acme = world(**coupon())
    for time, kind in (("05", "applied"), ("06", "applied"), ("07", "removed"), ("08", "applied")):
        acme.record(f"coupon.{kind}", f"2024-01-{time}", {"customer": "c1", "coupon": "launch"})
    acme.use("2024-01-05", "tokens", "10")
    billed = acme.bill("2024-01-01", "2024-02-01")
    assert billed.rejected["reason"].to_list() == ["already_applied"]
    assert billed.invoices["discount_total_minor"].to_list() == [200]


def test_an_invoice_that_comes_to_nothing_is_skipped_and_uses_no_coupon_up() -> None:
    acme = world(zero_invoices="skip", **coupon(percent="100", periods=1))
    acme.record("coupon.applied", "2024-01-01", {"customer": "c1", "coupon": "launch"})
    acme.use("2024-02-05", "tokens", "10")
    assert acme.documents("2024-01-01", "2024-03-01") == []


def test_lines_add_up_to_the_totals_and_carry_their_discount_and_tax() -> None:
    fee = {"key": "base", "amount": "33.33", "timing": "in_arrears"}
    acme = world(taxes=[{"key": "vat", "percent": "7.7"}], plan={"taxes": ["vat"], "fees": [fee]}, **coupon())
    acme.record("coupon.applied", "2024-01-01", {"customer": "c1", "coupon": "launch"})
    acme.use("2024-01-05", "tokens", "10.01")
    billed = acme.bill("2024-01-01", "2024-02-01")
    row = billed.invoices.row(0, named=True)
    sums = billed.lines.select("amount_minor", "discount_minor", "tax_minor").sum().row(0)
    assert sums == (row["subtotal_minor"], row["discount_total_minor"], row["tax_total_minor"])
    assert Decimal(row["total_minor"]) == sums[0] - sums[1] + sums[2]
