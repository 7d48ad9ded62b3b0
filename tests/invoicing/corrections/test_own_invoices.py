"""Invoices that are made for their lines alone: one per currency, and none takes the id of an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl
import pytest

from tests.invoicing.corrections.test_corrections import METER, Books
from tests.support.ledger import World, instant
from valueverse.invoicing import recorded_periods

if TYPE_CHECKING:
    from valueverse.invoicing.engine import Billed

ONE_OFF = {"customer": "c1", "description": "set-up", "amount": "5", "currency": "USD"}
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


def flat_world(**more: object) -> World:
    """A subscription that has ended, of a plan with 100 tokens included."""
    charge = {"key": "tokens", "meter": "tokens", "included": "100", "price": {"model": "standard", "unit": "1"}}
    document = {"key": "pro", "currency": "USD", "period": {"align": "calendar"}, "charges": [charge]}
    acme = World({"meters": [METER], "plans": [document]} | more)
    acme.start("2024-01-01", ends_at="2024-02-01")
    acme.use("2024-01-05", "tokens", "40")
    return acme


@pytest.mark.parametrize("policy", ["issue", "skip"])
def test_late_usage_that_changes_no_amount_makes_no_invoice_of_its_own_and_is_counted(policy: str) -> None:
    acme = flat_world(zero_invoices=policy, rounding={"level": "line"})
    acme.record("one_off.added", "2024-01-10", ONE_OFF)
    books = Books(acme)
    assert made(books.bill("2024-01-01", "2024-02-01", "2024-02-02")) == [("period", "USD", 500)]
    acme.use("2024-01-06", "tokens", "30", received_at=instant("2024-02-20"))
    assert made(books.bill("2024-02-01", "2024-03-01", "2024-03-02")) == []
    (period,) = recorded_periods(books.rows).to_dicts()
    assert period["events_known_at"] == instant("2024-02-20"), "the late event is booked"
    acme.use("2024-01-07", "tokens", "50", received_at=instant("2024-03-20"))
    billed = books.bill("2024-03-01", "2024-04-01", "2024-04-02")
    assert made(billed) == [("correction", "USD", 2000)]
    (line,) = billed.lines.select("quantity", "event_count").rows()
    assert (int(line[0]), line[1]) == (80, 2), "what changed nothing by itself counts in what it changes later"


def test_what_a_credit_note_leaves_nothing_of_makes_no_invoice_of_its_own() -> None:
    acme = flat_world()
    acme.use("2024-01-06", "tokens", "67")
    books = Books(acme)
    assert made(books.bill("2024-01-01", "2024-02-01", "2024-02-02")) == [("period", "USD", 700)]
    acme.record("credit_note.issued", "2024-02-10", {"invoice": "acme-000001", "amount": "7", "reason": "outage"})
    acme.usage[1]["known_until"] = instant("2024-02-20")
    assert made(books.bill("2024-02-01", "2024-03-01", "2024-03-02")) == []
    acme.facts[-1]["known_until"] = instant("2024-03-10")
    assert made(books.bill("2024-03-01", "2024-04-01", "2024-04-02")) == [("correction", "USD", -700)]


def test_corrections_that_offset_each_other_are_an_invoice_of_0() -> None:
    plans = [plan("pro", "USD")]
    plans[0]["charges"] = [
        {"key": key, "meter": "tokens", "when": {"kind": key}, "price": {"model": "standard", "unit": "1"}}
        for key in ("a", "b")
    ]
    acme = World({"meters": [METER | {"dimensions": ["kind"]}], "plans": plans})
    acme.start("2024-01-01", ends_at="2024-02-01")
    acme.use("2024-01-05", "tokens", "4", dimensions='{"kind":"a"}')
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.usage[0]["known_until"] = instant("2024-02-20")
    acme.use("2024-01-05", "tokens", "4", dimensions='{"kind":"b"}', received_at=instant("2024-02-20"))
    assert made(books.bill("2024-02-01", "2024-03-01", "2024-03-02")) == [("correction", "USD", 0)]


def test_a_voided_correction_is_booked_again_also_where_a_later_one_knows_more() -> None:
    acme = world()
    acme.start("2024-01-01", ends_at="2024-02-01")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    for month, value in (("02", "5"), ("03", "3")):
        acme.use("2024-01-06", "tokens", value, received_at=instant(f"2024-{month}-05"))
        assert made(books.bill("2024-02-01", "2024-04-01", f"2024-{month}-09"))[0][2] == int(value) * 100
    acme.record("invoice.voided", "2024-03-10", {"invoice": "acme-000002", "reason": "wrong address"})
    assert made(books.bill("2024-02-01", "2024-04-01", "2024-03-20")) == [("correction", "USD", 500)]
    assert made(books.bill("2024-02-01", "2024-04-01", "2024-03-21")) == []
    assert all_ids_differ(books)


FEE = {"key": "base", "amount": "31", "timing": "in_advance", "prorate": "day"}


def monthly(**more: object) -> World:
    """31.00 a month in advance from January on."""
    acme = World({"currency": "USD", "plans": [{"key": "pro", "period": {"align": "calendar"}, "fees": [FEE]} | more]})
    acme.start("2024-01-01")
    return acme


def billed_to_april(acme: World) -> Books:
    """January to March are final; a one-off of 5.00 of 20 January comes in April."""
    books = Books(acme)
    for month in (1, 2, 3):
        books.bill(f"2024-0{month}-01", f"2024-0{month + 1}-01", f"2024-0{month + 1}-02")
    acme.record("one_off.added", "2024-01-20", ONE_OFF, received_at=instant("2024-04-03"))
    return books


@pytest.mark.parametrize("ended", ["2024-04-01", "2024-02-10"])
def test_a_one_off_of_the_time_of_a_subscription_that_has_ended_is_on_an_invoice_of_its_own(ended: str) -> None:
    acme = monthly()
    books = billed_to_april(acme)
    acme.record("subscription.ended", ended, {"subscription": "s1"}, received_at=instant("2024-04-03"))
    found = made(books.bill("2024-04-01", "2024-05-01", "2024-04-10"))
    assert ("one_off", "USD", 500) in found
    assert not [one for one in made(books.bill("2024-04-01", "2024-05-01", "2024-04-11")) if one[0] == "one_off"]


def test_a_one_off_waits_for_the_invoice_of_its_month_where_earlier_months_are_billed_first() -> None:
    acme = monthly()
    acme.record("subscription.ended", "2024-03-15", {"subscription": "s1"})
    acme.record("one_off.added", "2024-01-20", ONE_OFF, received_at=instant("2024-04-05"))
    late = ONE_OFF | {"description": "late"}
    acme.record("one_off.added", "2024-03-10", late, received_at=instant("2024-04-05"))
    books = Books(acme)
    on = {}
    for month in (1, 2, 3):
        billed = books.bill(f"2024-0{month}-01", f"2024-0{month + 1}-01", "2024-06-01")
        lines = billed.lines.filter(pl.col("kind") == "one_off")
        on[month] = lines.select("description", "invoice_type").rows()
    assert on == {1: [("set-up", "period")], 2: [], 3: [("late", "period")]}


def test_a_pause_gives_back_what_was_billed_in_advance_once_its_period_has_closed() -> None:
    """Paused on 16 February, which becomes known in April: 14 days of February (29) and all of March and April."""
    acme = monthly()
    books = billed_to_april(acme)
    acme.record("subscription.paused", "2024-02-16", {"subscription": "s1"}, received_at=instant("2024-04-05"))
    found = books.bill("2024-04-01", "2024-05-01", "2024-04-10")
    assert made(found) == [("correction", "USD", -1497 - 6200), ("one_off", "USD", 500)]
    acme.record("subscription.resumed", "2024-06-01", {"subscription": "s1"})
    again = books.bill("2024-06-01", "2024-07-01", "2024-07-02")
    assert [one for one in made(again) if one[2] < 0] == []


def test_a_one_off_of_a_running_pause_waits_for_the_close_of_the_period_in_which_it_began_and_no_longer() -> None:
    acme = monthly()
    books = billed_to_april(acme)
    acme.record("subscription.paused", "2024-04-06", {"subscription": "s1"})
    assert made(books.bill("2024-04-01", "2024-05-01", "2024-04-10")) == []
    # 25 of April's 30 days are given back, and the one-off is billed.
    assert made(books.bill("2024-04-01", "2024-05-01", "2024-05-02")) == [("period", "USD", 500 - 2583)]
    acme.record("one_off.added", "2024-05-20", ONE_OFF)
    assert made(books.bill("2024-05-01", "2024-06-01", "2024-05-21")) == [("one_off", "USD", 500)]
