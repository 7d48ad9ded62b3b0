"""A customer's tax rate changes: each supply is taxed with the one of its own time, also when it is corrected later."""

from __future__ import annotations

from tests.invoicing.corrections.test_corrections import Books, world
from tests.support.ledger import World, instant


def taxed() -> World:
    acme = world(unit="1")
    acme.record("customer.created", "2024-01-01", {"customer": "c1", "name": "C", "tax_rates": ["7"]})
    acme.start("2024-01-01")
    acme.use("2024-01-05", "tokens", "100")
    return acme


def test_an_invoice_has_the_rate_that_held_when_its_service_ended() -> None:
    acme = taxed()
    acme.record("customer.updated", "2024-02-01", {"customer": "c1", "tax_rates": ["19"]})
    acme.use("2024-02-05", "tokens", "100")
    january, february = acme.documents("2024-01-01", "2024-03-01")
    assert (january["tax_total"], february["tax_total"]) == ("7.00", "19.00")


def test_a_fee_in_advance_has_the_rate_that_holds_as_its_invoice_closes() -> None:
    acme = world(fees=[{"key": "platform", "amount": "100"}])
    acme.record("customer.created", "2024-01-01", {"customer": "c1", "name": "C", "tax_rates": ["7"]})
    acme.start("2024-01-01")
    acme.record("customer.updated", "2024-02-01", {"customer": "c1", "tax_rates": ["19"]})
    acme.record("customer.updated", "2024-02-15", {"customer": "c1", "tax_rates": ["21"]})
    found = acme.documents("2024-01-01", "2024-03-01")
    assert [(one["issued_on"][:7], one["tax_total"]) for one in found] == [
        ("2024-01", "7.00"),
        ("2024-02", "19.00"),
        ("2024-03", "21.00"),
    ]


def test_a_correction_has_the_tax_of_the_period_that_it_corrects() -> None:
    acme = taxed()
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-03")
    acme.record("customer.updated", "2024-02-10", {"customer": "c1", "tax_rates": ["19"]})
    acme.use("2024-01-06", "tokens", "100", received_at=instant("2024-02-20"))
    acme.use("2024-02-21", "tokens", "100")
    billed = books.bill("2024-02-01", "2024-03-01", "2024-03-03")
    rows = billed.lines.sort("kind").select("kind", "amount_minor", "tax_minor").rows()
    assert rows == [("adjustment", 10000, 700), ("usage", 10000, 1900)]


def test_what_was_stated_first_holds_before_anything_was_stated() -> None:
    acme = world(unit="1")
    acme.start("2024-01-01")
    acme.use("2024-01-05", "tokens", "100")
    acme.record("customer.created", "2024-03-01", {"customer": "c1", "name": "C", "tax_rates": ["7"]})
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    assert january["tax_total"] == "7.00"


def test_a_one_off_has_no_tax_of_the_plan_whose_invoice_it_is_on() -> None:
    taxes = [{"key": "vat", "percent": "19"}, {"key": "city", "percent": "3", "country": "US"}]
    fee = {"key": "base", "amount": "100", "timing": "in_arrears"}
    plan = {"key": "pro", "period": {"align": "calendar"}, "taxes": ["vat"], "fees": [fee]}
    acme = World({"plans": [plan], "taxes": taxes})
    acme.start("2024-01-01")
    acme.record("customer.updated", "2024-02-01", {"customer": "c1", "tax_rates": ["5"]})
    for day in ("2024-01-05", "2024-02-05"):
        data = {"customer": "c1", "description": "help", "amount": "100", "currency": "USD"}
        acme.record("one_off.added", day, data)
    found = acme.documents("2024-01-01", "2024-03-01")
    assert [one["tax_total"] for one in found] == ["24.00", "24.00"]


def test_a_coupon_of_a_plan_takes_nothing_of_a_one_off_on_its_invoice() -> None:
    fee = {"key": "base", "amount": "100", "timing": "in_arrears"}
    coupon = {"key": "ten", "percent": "10", "applies_to": {"plans": ["pro"]}}
    acme = World({"plans": [{"key": "pro", "period": {"align": "calendar"}, "fees": [fee]}], "coupons": [coupon]})
    acme.start("2024-01-01")
    acme.record("coupon.applied", "2024-01-01", {"customer": "c1", "coupon": "ten"})
    data = {"customer": "c1", "description": "help", "amount": "50", "currency": "USD"}
    acme.record("one_off.added", "2024-01-05", data)
    (january,) = acme.documents("2024-01-01", "2024-02-01")
    assert (january["subtotal"], january["discount_total"]) == ("150.00", "10.00")


def two_plans() -> World:
    plans = [
        {"key": key, "period": {"align": "calendar"}, "taxes": ["vat"], "fees": [{"key": fee, "amount": amount}]}
        for key, fee, amount in (("pro", "base", "100"), ("basic", "low", "40"))
    ]
    acme = World({"plans": plans, "taxes": [{"key": "vat", "percent": "19"}]})
    acme.start("2024-01-01")
    return acme


def test_a_fee_that_is_not_due_any_more_is_given_back_with_the_tax_of_its_plan() -> None:
    acme = two_plans()
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-03")
    change = {"subscription": "s1", "plan": "basic"}
    acme.record("subscription.changed", "2024-02-01", change, received_at=instant("2024-02-10"))
    february = books.bill("2024-02-01", "2024-03-01", "2024-03-03")
    lines = february.lines.sort("place").select("key", "kind", "amount_minor", "tax_minor").rows()
    # 19 of the 100 for February come back, 7.60 of the 40 in its place and for March are due.
    assert sorted(lines) == [
        ("base", "adjustment", -10000, -1900), ("low", "adjustment", 4000, 760), ("low", "fee", 4000, 760),
    ]  # fmt: skip


def test_a_subscription_that_never_was_is_given_back_with_its_tax_and_its_customers_one_off_stays() -> None:
    acme = two_plans()
    data = {"customer": "c1", "description": "help", "amount": "10", "currency": "USD"}
    acme.record("customer.created", "2023-12-01", {"customer": "c1"})
    acme.record("one_off.added", "2024-01-05", data)
    books = Books(acme)
    first = books.bill("2024-01-01", "2024-02-01", "2024-02-03")
    assert sorted(first.invoices["tax_total_minor"]) == [1900, 1900]
    acme.facts[1]["known_until"] = instant("2024-02-10")
    second = books.bill("2024-02-01", "2024-03-01", "2024-03-03")
    assert second.invoices.select("total_minor", "tax_total_minor").rows() == [(-23800, -3800)]
