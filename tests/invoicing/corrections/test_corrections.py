"""Late, amended and voided events after finalising: differences on the next invoice, or on one of their own."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from tests.support.ledger import World, amounts, instant
from valueverse.invoicing.in_memory_billing import RecordedInvoices as Ledger

if TYPE_CHECKING:
    from valueverse.invoicing.engine import Billed

METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}


def world(unit: str = "0.001", **plan: Any) -> World:
    charge = {"key": "tokens", "meter": "tokens", "price": {"model": "standard", "unit": unit}}
    document = {"key": "pro", "period": {"align": "calendar"}, "charges": [charge]} | plan
    return World({"meters": [METER], "plans": [document], "coupons": [{"key": "ten", "percent": "10"}]})


class Books(Ledger):
    """Runs over one world, everything past its grace finalised."""

    def __init__(self, acme: World) -> None:
        super().__init__()
        self.acme = acme

    def bill(self, start: str, end: str, at: str) -> Billed:
        """A run at ``at`` that knows all that was received by then."""
        acme, moment = self.acme, instant(at)
        window = (date.fromisoformat(start), date.fromisoformat(end))
        usage, facts = acme.usage_frame().lazy(), acme.facts_frame()
        changes = pl.concat([frame.select("received_at", "known_until") for frame in (acme.usage_frame(), facts)])
        received = pl.concat([changes["received_at"], changes["known_until"]])
        known_at = received.filter(received <= moment).max()
        return self.run(acme.timeline(), acme.history(), usage, facts, window, known_at=known_at, as_of=moment)


def shown(billed: Billed) -> list[tuple[str, str, int]]:
    rows = billed.lines.sort("period_from", "place").select("key", "kind", "amount_minor").rows()
    return [(key, kind, minor) for key, kind, minor in rows]


def test_333_then_666_units_known_one_after_the_other_book_33_and_then_34_cents() -> None:
    acme = world()
    acme.start("2024-01-01")
    books = Books(acme)
    acme.use("2024-01-05", "tokens", "333")
    assert shown(books.bill("2024-01-01", "2024-02-01", "2024-02-02")) == [("tokens", "usage", 33)]
    acme.use("2024-01-06", "tokens", "333", received_at=instant("2024-02-20"))
    second = books.bill("2024-02-01", "2024-03-01", "2024-03-02")
    assert shown(second) == [("tokens", "usage", 0), ("tokens", "adjustment", 34)]
    line = second.lines.filter(pl.col("kind") == "adjustment").row(0, named=True)
    assert (str(line["quantity"]).rstrip("0"), line["event_count"]) == ("333.", 1)
    assert str(line["amount_precise"]).rstrip("0") == "0.336"
    assert line["service_from"] == instant("2024-01-01")
    assert "2024-01-01 to 2024-02-01" in line["description"]


def test_a_booked_difference_is_not_booked_again() -> None:
    acme = world()
    acme.start("2024-01-01")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.use("2024-01-06", "tokens", "5000", received_at=instant("2024-02-20"))
    books.bill("2024-02-01", "2024-03-01", "2024-03-02")
    assert shown(books.bill("2024-03-01", "2024-04-01", "2024-04-02")) == [("tokens", "usage", 0)]
    acme.use("2024-01-07", "tokens", "1000", received_at=instant("2024-04-20"))
    assert ("tokens", "adjustment", 100) in shown(books.bill("2024-04-01", "2024-05-01", "2024-05-02"))


def test_a_voided_event_is_taken_back() -> None:
    acme = world(unit="1")
    acme.start("2024-01-01")
    books = Books(acme)
    acme.use("2024-01-05", "tokens", "7")
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.usage[0]["known_until"] = instant("2024-02-20")
    assert shown(books.bill("2024-02-01", "2024-03-01", "2024-03-02")) == [
        ("tokens", "usage", 0),
        ("tokens", "adjustment", -700),
    ]


def test_usage_that_changes_no_amount_is_accounted_for_by_a_line_of_nothing() -> None:
    acme = world(unit="0")
    acme.start("2024-01-01")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.use("2024-01-06", "tokens", "5", received_at=instant("2024-02-20"))
    assert shown(books.bill("2024-02-01", "2024-03-01", "2024-03-02"))[1] == ("tokens", "adjustment", 0)


def test_an_end_known_late_gives_back_the_advance_and_the_unused_rest() -> None:
    acme = world(fees=[{"key": "base", "amount": "30"}])
    acme.start("2023-11-01")
    books = Books(acme)
    books.bill("2023-11-01", "2023-12-01", "2023-12-02")
    acme.record("subscription.ended", "2023-11-16", {"subscription": "s1"}, received_at=instant("2023-12-05"))
    closing = books.bill("2023-12-01", "2024-01-01", "2024-01-02")
    # 30 for December given back, and 15 of November's 30: no invoice will come, so they make a credit note.
    assert closing.invoices["invoice_type"].to_list() == ["correction"]
    assert closing.invoices["total_minor"].to_list() == [-4500]
    assert books.bill("2024-01-01", "2024-02-01", "2024-02-02").invoices.is_empty()


def test_a_second_late_event_after_the_end_makes_a_second_correction() -> None:
    acme = world(unit="1")
    acme.start("2024-01-01", ends_at="2024-02-01")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    for number, received in enumerate(("2024-02-05", "2024-03-05")):
        acme.use("2024-01-06", "tokens", "5", received_at=instant(received))
        found = books.bill("2024-02-01", "2024-04-01", received.replace("-05", "-09"))
        assert found.invoices.select("invoice_type", "revision", "total_minor").rows() == [("correction", number, 500)]


def test_a_subscription_that_never_was_is_given_back_whole() -> None:
    acme = world(fees=[{"key": "base", "amount": "30", "timing": "in_arrears"}])
    acme.start("2024-01-01")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.facts[-1]["known_until"] = instant("2024-02-10")
    found = books.bill("2024-02-01", "2024-03-01", "2024-03-02")
    assert found.invoices.select("invoice_type", "total_minor").rows() == [("correction", -3000)]


def test_a_difference_is_net_of_the_coupon_of_its_invoice() -> None:
    acme = world(unit="1")
    acme.start("2024-01-01")
    acme.record("coupon.applied", "2024-01-02", {"customer": "c1", "coupon": "ten"})
    acme.record("coupon.removed", "2024-02-02", {"customer": "c1", "coupon": "ten"})
    books = Books(acme)
    acme.use("2024-01-05", "tokens", "100")
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.use("2024-01-06", "tokens", "10", received_at=instant("2024-02-20"))
    found = books.bill("2024-02-01", "2024-03-01", "2024-03-02")
    assert ("tokens", "adjustment", 900) in shown(found)
    assert found.invoices["discount_total_minor"].to_list() == [0]


def test_a_difference_does_not_change_the_commitment_of_the_invoice_that_bills_it() -> None:
    acme = world(unit="1", commitment={"minimum": "50"})
    acme.start("2024-01-01")
    books = Books(acme)
    acme.use("2024-01-05", "tokens", "20")
    first = books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    assert ("commitment", "minimum", 3000) in shown(first)
    acme.use("2024-01-06", "tokens", "10", received_at=instant("2024-02-20"))
    assert shown(books.bill("2024-02-01", "2024-03-01", "2024-03-02")) == [
        ("tokens", "usage", 0),
        ("commitment", "minimum", 5000),
        ("commitment", "adjustment", -1000),
        ("tokens", "adjustment", 1000),
    ]


def test_what_is_booked_in_parts_comes_to_what_one_run_would_have_billed() -> None:
    tiers = [{"up_to": "10", "unit": "1.005"}, {"up_to": None, "unit": "0.333"}]
    acme = world()
    acme.facts.clear()
    plan = {"key": "pro", "period": {"align": "calendar"}}
    charge = {"key": "tokens", "meter": "tokens", "price": {"model": "graduated", "tiers": tiers}}
    catalog = {"schema": "valueverse.catalog/v1", "meters": [METER], "plans": [plan | {"charges": [charge]}]}
    acme.record("catalog.published", "2023-01-01", catalog)
    acme.start("2024-01-01")
    books = Books(acme)
    total = 0
    for month, value in enumerate(("3", "4.5", "6", "2.25"), start=2):
        acme.use("2024-01-10", "tokens", value, received_at=instant(f"2024-{month:02}-01"))
        found = books.bill(f"2024-{month - 1:02}-01", f"2024-{month:02}-01", f"2024-{month:02}-02")
        total += found.invoices["total_minor"].sum()
    (january, *_) = acme.documents("2024-01-01", "2024-02-01")
    assert amounts(january) == [("tokens", f"{total / 100:.2f}")]


def coupon_world(coupon: dict[str, Any], **plan: Any) -> World:
    charge = {"key": "tokens", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}
    document = {"key": "pro", "period": {"align": "calendar"}, "charges": [charge]} | plan
    acme = World({"currency": "USD", "meters": [METER], "plans": [document], "coupons": [{"key": "off"} | coupon]})
    acme.start("2024-01-01")
    acme.record("coupon.applied", "2024-01-01", {"customer": "c1", "coupon": "off"})
    return acme


@pytest.mark.parametrize(
    ("coupon", "late", "booked"),
    [
        # 10 on 20 + 20 is 5 and 5; on 40 + 20 it is 6.67 and 3.33; on 20 + 20 once more nothing moves.
        ({"amount": "10", "currency": "USD"}, "20", {"tokens": 1833, "one_off": 167}),
        ({"amount": "10", "currency": "USD"}, "0", {"tokens": 0}),
        ({"percent": "10"}, "20", {"tokens": 1800}),
    ],
)
def test_a_coupon_is_spread_over_the_one_offs_of_a_corrected_invoice_too(
    coupon: dict[str, str], late: str, booked: dict[str, int]
) -> None:
    acme = coupon_world(coupon)
    acme.record(
        "one_off.added", "2024-01-10", {"customer": "c1", "description": "x", "amount": "20", "currency": "USD"}
    )
    acme.use("2024-01-05", "tokens", "20")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.use("2024-01-06", "tokens", late, received_at=instant("2024-02-20"))
    found = shown(books.bill("2024-02-01", "2024-03-01", "2024-03-02"))
    assert {key.partition("-")[0]: minor for key, kind, minor in found if kind == "adjustment"} == booked


@pytest.mark.parametrize(
    ("coupon", "applied_at", "booked"),
    [({}, "2024-01-02", 1000), ({"periods": 3}, "2024-01-02", 2000), ({}, "2024-02-10", 2000)],
    ids=["it held", "it lasts for three periods, and this was none of them", "it was received after the invoice"],
)
def test_a_coupon_that_found_nothing_to_take_lowers_late_usage_that_it_covers(
    coupon: dict[str, Any], applied_at: str, booked: int
) -> None:
    acme = world("1")
    acme.facts.clear()
    charge = {"key": "tokens", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": [charge]}
    half = {"key": "half", "percent": "50"} | coupon
    acme.record("catalog.published", "2023-01-01", {
        "schema": "valueverse.catalog/v1", "meters": [METER], "plans": [plan], "coupons": [half],
    })  # fmt: skip
    acme.start("2024-01-01")
    applied = {"customer": "c1", "coupon": "half"}
    acme.record("coupon.applied", "2024-01-02", applied, received_at=instant(applied_at))
    books = Books(acme)
    acme.use("2024-01-04", "tokens", "0")
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.use("2024-01-06", "tokens", "20", received_at=instant("2024-02-20"))
    found = books.bill("2024-02-01", "2024-03-01", "2024-03-02")
    assert shown(found)[-1] == ("tokens", "adjustment", booked)


def test_a_correction_on_an_invoice_leaves_its_coupon_whole_also_when_it_is_recomputed() -> None:
    """January's 30 were paid with 15, and all of it comes back; of February's 20 the coupon leaves 10."""
    acme = coupon_world({"percent": "50"})
    acme.use("2024-01-05", "tokens", "30")
    acme.use("2024-02-05", "tokens", "20")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.usage[0]["known_until"] = instant("2024-02-20")
    second = books.bill("2024-02-01", "2024-03-01", "2024-03-02")
    assert shown(second) == [("tokens", "usage", 2000), ("tokens", "adjustment", -1500)]
    assert second.invoices.select("discount_total_minor", "total_minor").rows() == [(1000, -500)]
    acme.use("2024-02-06", "tokens", "0", received_at=instant("2024-03-20"))
    third = books.bill("2024-03-01", "2024-04-01", "2024-04-02")
    assert shown(third) == [("tokens", "usage", 0), ("tokens", "adjustment", 0)]


@pytest.mark.parametrize("coupon", [{"amount": "10", "currency": "USD"}, {"percent": "50"}])
@pytest.mark.parametrize("removed", [False, True])
def test_a_threshold_invoice_keeps_its_own_discount_when_its_period_is_corrected(
    coupon: dict[str, str], *, removed: bool
) -> None:
    acme = coupon_world(coupon, threshold="50")
    acme.use("2024-01-05", "tokens", "60")
    acme.use("2024-01-25", "tokens", "30")
    if removed:
        acme.record("coupon.removed", "2024-01-20", {"customer": "c1", "coupon": "off"})
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.use("2024-01-06", "tokens", "2", received_at=instant("2024-02-20"))
    found = shown(books.bill("2024-02-01", "2024-03-01", "2024-03-02"))
    assert found[-1] == ("tokens", "adjustment", 100 if "percent" in coupon and not removed else 200)


def test_usage_of_a_plan_in_another_currency_that_comes_late_makes_an_invoice_of_its_own() -> None:
    charge = {"key": "tokens", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}
    plan = {"period": {"align": "calendar"}, "charges": [charge]}
    plans = [{"key": "pro"} | plan, {"key": "euro", "currency": "EUR"} | plan]
    acme = World({"currency": "USD", "meters": [METER], "plans": plans})
    acme.start("2024-01-01")
    acme.record("subscription.changed", "2024-01-20", {"subscription": "s1", "plan": "euro", "effective": "period_end"})
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.use("2024-01-06", "tokens", "7", received_at=instant("2024-02-20"))
    acme.use("2024-02-06", "tokens", "3")
    second = books.bill("2024-02-01", "2024-03-01", "2024-03-02")
    owed = second.invoices.sort("invoice_type").select("invoice_type", "currency", "total_minor").rows()
    assert owed == [("correction", "USD", 700), ("period", "EUR", 300)]
    assert shown(books.bill("2024-03-01", "2024-04-01", "2024-04-02")) == [("tokens", "usage", 0)]


def test_an_invoice_that_a_correction_brings_to_nothing_is_issued_even_where_those_of_nothing_are_skipped() -> None:
    charge = {"key": "tokens", "meter": "tokens", "price": {"model": "standard", "unit": "1"}}
    plan = {"key": "pro", "period": {"align": "calendar"}, "charges": [charge]}
    acme = World({"currency": "USD", "zero_invoices": "skip", "meters": [METER], "plans": [plan]})
    acme.start("2024-01-01")
    acme.use("2024-01-05", "tokens", "100")
    acme.use("2024-02-05", "tokens", "100")
    books = Books(acme)
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.usage[0]["known_until"] = instant("2024-02-20")
    second = books.bill("2024-02-01", "2024-03-01", "2024-03-02")
    assert shown(second) == [("tokens", "usage", 10_000), ("tokens", "adjustment", -10_000)]
    assert books.bill("2024-03-01", "2024-04-01", "2024-04-02").invoices.is_empty()


def test_an_end_known_late_leaves_the_customer_s_usage_to_the_subscription_that_stays() -> None:
    acme = world("1")
    acme.start("2024-01-01")
    acme.start("2024-01-01", subscription="s2")
    acme.use("2024-01-05", "tokens", "100")
    books = Books(acme)
    first = books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    assert [minor for _, _, minor in shown(first)] == [0, 0]
    acme.record("subscription.ended", "2024-01-03", {"subscription": "s2"}, received_at=instant("2024-02-10"))
    second = books.bill("2024-02-01", "2024-03-01", "2024-03-02").lines
    adjusted = second.filter(pl.col("kind") == "adjustment").select("subscription", "amount_minor", "event_count")
    assert adjusted.rows() == [("s1", 10_000, 1)]


def test_a_credit_note_names_an_invoice_of_an_earlier_run_and_bounds_its_correction() -> None:
    """The note gave 3.00 of 7.00 back and pays February's 1.00; of the usage voided then 4.00 still stand, and 2.00 of
    the note, so 6.00 are left to the customer: 4.00 as the total of an invoice below zero."""
    acme = world(unit="1")
    acme.start("2024-01-01")
    books = Books(acme)
    acme.use("2024-01-05", "tokens", "7")
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.record("credit_note.issued", "2024-02-10", {"invoice": "acme-000001", "amount": "3", "reason": "outage"})
    acme.use("2024-02-05", "tokens", "1")
    february = books.bill("2024-02-01", "2024-03-01", "2024-03-02")
    assert february.invoices["amount_due_minor"].to_list() == [0]
    acme.usage[0]["known_until"] = instant("2024-03-20")
    march = books.bill("2024-03-01", "2024-04-01", "2024-04-02")
    assert shown(march) == [("tokens", "usage", 0), ("tokens", "adjustment", -400)]
    assert march.rejected.is_empty()
    assert march.lines["explains"].to_list()[-1].endswith("; a credit note gave the rest back")
    acme.record("credit_note.issued", "2024-04-10", {"invoice": "acme-000001", "amount": "0.01", "reason": "more"})
    assert books.bill("2024-04-01", "2024-05-01", "2024-05-02").rejected["reason"].to_list() == ["exceeds_invoice"]


def test_what_a_credit_note_held_back_is_given_once_the_note_is_withdrawn() -> None:
    """A note of all 7.00 leaves nothing of the voided usage to give back; without the note it is 7.00."""
    acme = world(unit="1")
    acme.start("2024-01-01")
    books = Books(acme)
    acme.use("2024-01-05", "tokens", "7")
    books.bill("2024-01-01", "2024-02-01", "2024-02-02")
    acme.record("credit_note.issued", "2024-02-10", {"invoice": "acme-000001", "amount": "7", "reason": "outage"})
    acme.usage[0]["known_until"] = instant("2024-02-20")
    assert shown(books.bill("2024-02-01", "2024-03-01", "2024-03-02"))[1:] == [("tokens", "adjustment", 0)]
    acme.facts[-1]["known_until"] = instant("2024-03-10")
    assert shown(books.bill("2024-03-01", "2024-04-01", "2024-04-02"))[1:] == [("tokens", "adjustment", -700)]
