"""Invoices that are made for their lines alone: one per currency, and none takes the id of an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.invoicing.corrections.test_corrections import METER, Books
from tests.support.ledger import World, instant

if TYPE_CHECKING:
    from valueverse.invoicing.engine import Billed

Made = list[tuple[str, str, int]]


def plan(key: str, currency: str, **more: str) -> dict[str, object]:
    charge = {"key": "tokens", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}
    return {"key": key, "currency": currency, "period": {"align": "calendar"}, "charges": [charge]} | more


def world(**more: str) -> World:
    acme = World({"meters": [METER], "plans": [plan("pro", "USD", **more), plan("yen", "JPY", **more)]})
    acme.record("customer.created", "2024-01-01", {"customer": "c9"})
    return acme


def one_off(acme: World, amount: str, currency: str = "USD", received: str = "2024-01-10") -> None:
    data = {"customer": "c9", "description": "set-up", "amount": amount, "currency": currency}
    acme.record("one_off.added", "2024-01-10", data, received_at=instant(received))


def made(billed: Billed) -> Made:
    return sorted(billed.invoices.select("invoice_type", "currency", "total_minor").rows())


def all_ids_differ(books: Books) -> bool:
    return bool(books.rows.invoices["invoice_id"].is_unique().all())


def test_one_offs_of_one_instant_in_two_currencies_are_two_invoices() -> None:
    acme = world()
    one_off(acme, "5")
    one_off(acme, "700", "JPY")
    books = Books(acme)
    billed = books.bill("2024-01-01", "2024-02-01", "2024-01-15")
    assert made(billed) == [("one_off", "JPY", 700), ("one_off", "USD", 500)]
    assert all_ids_differ(books)
    assert books.bill("2024-01-01", "2024-02-01", "2024-01-16").invoices.is_empty()


def test_a_one_off_whose_own_invoice_was_voided_is_billed_on_another_invoice() -> None:
    acme = world()
    one_off(acme, "5")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-01-15")
    for number, day in ((1, "2024-01-20"), (2, "2024-01-22")):
        acme.record("invoice.voided", day, {"invoice": f"acme-{number:06d}", "reason": "wrong address"})
        assert made(books.bill("2024-01-01", "2024-02-01", f"{day[:-1]}9")) == [("one_off", "USD", 500)]
    assert all_ids_differ(books)


def test_a_late_one_off_of_the_instant_of_another_is_billed_on_an_invoice_of_its_own() -> None:
    acme = world()
    one_off(acme, "5")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-01-15")
    one_off(acme, "7", received="2024-01-20")
    assert made(books.bill("2024-01-01", "2024-02-01", "2024-01-25")) == [("one_off", "USD", 700)]
    assert all_ids_differ(books)


def test_corrections_in_two_currencies_are_two_invoices_and_a_voided_one_is_made_again() -> None:
    acme = world()
    acme.start("2024-01-01")
    acme.record("subscription.changed", "2024-02-01", {"subscription": "s1", "plan": "yen", "effective": "now"})
    acme.record("subscription.ended", "2024-03-01", {"subscription": "s1"})
    books = Books(acme)
    books.bill("2024-01-01", "2024-03-01", "2024-03-05")
    acme.use("2024-01-06", "tokens", "4", received_at=instant("2024-03-20"))
    acme.use("2024-02-06", "tokens", "70", received_at=instant("2024-03-20"))
    corrections = [("correction", "JPY", 70), ("correction", "USD", 400)]
    assert made(books.bill("2024-03-01", "2024-04-01", "2024-04-05")) == corrections
    for number in (3, 4):
        acme.record("invoice.voided", "2024-04-10", {"invoice": f"acme-{number:06d}", "reason": "wrong address"})
    assert made(books.bill("2024-03-01", "2024-04-01", "2024-04-15")) == corrections
    assert all_ids_differ(books)


def test_a_period_in_two_currencies_makes_no_threshold_invoice() -> None:
    acme = world(threshold="50")
    acme.start("2024-01-01")
    acme.record("subscription.changed", "2024-01-10", {"subscription": "s1", "plan": "yen", "effective": "now"})
    acme.use("2024-01-05", "tokens", "30")
    acme.use("2024-01-15", "tokens", "400")
    assert made(Books(acme).bill("2024-01-01", "2024-02-01", "2024-01-25")) == []
