"""What invoices, payments, credit notes and wallets book, and the laws of every journal."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.journal import LATER, balance, bills, booked, document, facts, inputs_of, line, net_postings, read
from tests.support.laws import law
from tests.support.ledger import World
from valueverse.ledger.invariants import violations
from valueverse.ledger.invoices import release_schedule
from valueverse.ledger.posting import Journal, book_entries, derive_movements, no_bookings, receivables
from valueverse.schemas.ledger import AMOUNTS_OWED

NEXT = ("2024-02-01", "2024-03-01")
Event = tuple[str, str, dict[str, Any]]


def paid(kind: str, amount: str, day: str = "2024-02-10", reference: str = "r1", number: int = 1) -> Event:
    data = {"invoice": f"acme-{number:06d}", "amount": amount, "currency": "USD", "reference": reference}
    return (f"payment.{kind}", f"{day}T00:00:00+00:00", data)


def wallet(kind: str, amount: str, day: str = "2024-01-01", **more: Any) -> Event:
    data = {"customer": "c1", "wallet": "w", "amount": amount, "currency": "USD"} | more
    return (f"wallet.{kind}", f"{day}T00:00:00+00:00", data)


def note(amount: str, day: str = "2024-02-11", number: int = 1) -> Event:
    data = {"invoice": f"acme-{number:06d}", "amount": amount, "reason": "sorry"}
    return ("credit_note.issued", f"{day}T00:00:00+00:00", data)


# ---------------------------------------------------------------- invoices


def test_a_period_that_is_over_is_revenue_when_it_is_invoiced() -> None:
    journal = booked(document(1, [line(1000)], tax=190))
    assert balance(journal, "receivable") == 1190
    assert balance(journal, "revenue") == -1000
    assert balance(journal, "tax_payable") == -190
    assert balance(journal, "deferred_revenue") == 0
    assert journal.entries.height == 1


def test_a_period_to_come_is_deferred_and_released_by_the_day() -> None:
    journal = booked(document(1, [line(3100, "2024-01-15", "2024-02-15")], issued_on="2024-01-15"))
    assert balance(journal, "deferred_revenue", "2024-01-15") == -3100
    assert balance(journal, "revenue", "2024-01-30") == 0
    assert balance(journal, "revenue", "2024-01-31") == -1700
    assert balance(journal, "revenue", "2024-02-14") == -3100
    assert balance(journal, "deferred_revenue") == 0


def test_days_served_before_the_issue_are_never_released_before_they_are_deferred() -> None:
    journal = booked(document(1, [line(3100, "2024-01-15", "2024-02-15")], issued_on="2024-02-02"))
    assert balance(journal, "revenue", "2024-02-01") == 0
    assert balance(journal, "revenue", "2024-02-02") == -1700


def test_days_are_those_of_the_zone() -> None:
    berlin = document(1, [line(3100)], issued_on="2024-01-01")
    berlin["lines"][0]["service_period"] = {"from": "2023-12-31T23:00:00Z", "to": "2024-01-31T23:00:00Z"}
    found = read(berlin)
    zoned = found.invoices.with_columns(pl.lit("Europe/Berlin").alias("timezone"))
    moves, _ = derive_movements(type(found)(zoned, found.lines, found.credits), inputs_of(found))
    released = moves.filter(pl.col("kind") == "revenue_recognition")
    assert released["date"].unique().to_list() == [date(2024, 1, 31)]


def test_discounts_lower_revenue_where_they_stand() -> None:
    found = read(document(1, [line(1000), line(3000, *NEXT)], discount=400))
    moves, _ = derive_movements(found, inputs_of(found))
    spread = book_entries(moves, no_bookings())
    assert (balance(spread, "revenue", "2024-02-02"), balance(spread, "deferred_revenue", "2024-02-02")) == (
        -900,
        -2700,
    )
    exact = found.detailed(
        pl.DataFrame(
            {"tenant": ["acme"] * 2, "number": ["acme-000001"] * 2, "line_no": [1, 2], "discount_minor": [400, 0]},
            schema_overrides={"line_no": pl.Int32},
        ),
        found.credits.select("tenant", "number", "position", "origin"),
    )
    moves, _ = derive_movements(exact, inputs_of(exact))
    stated = book_entries(moves, no_bookings())
    assert balance(stated, "deferred_revenue", "2024-02-02") == -3000


@pytest.mark.parametrize(("lines", "discount", "revenue"), [([-4000], -400, 3600), ([0, 0], 900, 900)])
def test_a_discount_without_lines_above_nothing_is_spread_over_all_of_them(
    lines: list[int], discount: int, revenue: int
) -> None:
    journal = booked(document(1, [line(amount) for amount in lines], discount=discount))
    assert balance(journal, "revenue", "2024-02-02") == revenue


def test_an_invoice_of_nothing_books_nothing() -> None:
    assert booked(document(1, [line(0), line(0)])).entries.is_empty()


def test_an_invoice_below_zero_leaves_its_money_to_no_invoice_yet() -> None:
    used = document(2, [line(5000)], credits=[("credit_note", "balance:x", 2000)])
    journal = booked(document(1, [line(-2000)]), used)
    open_by = (
        journal.postings.filter(pl.col("account") == "receivable").group_by("invoice").agg(pl.col("amount_minor").sum())
    )
    assert dict(open_by.filter(pl.col("amount_minor") != 0).rows()) == {"acme-000002": 3000}


@pytest.mark.parametrize(("again", "open_by"), [(500, {None: -2000}), (3000, {None: -3000, "acme-000001": 1000})])
def test_an_invoice_below_zero_pays_first_what_is_owed_again_on_it(again: int, open_by: dict[str | None, int]) -> None:
    """Of 20.00 given back 5.00 pay what is owed again, and 30.00 leave 10.00 to pay. Without an invoice stand what it
    leaves and what meets the claim that the void of the note had booked there: -15.00 - 5.00, and -30.00."""
    journal = booked(document(1, [line(-2000)], credits=[("credit_note", "n", -again)]))
    rows = journal.postings.filter(pl.col("account") == "receivable")
    found = dict(rows.group_by("invoice").agg(pl.col("amount_minor").sum()).rows())
    assert {invoice: minor for invoice, minor in found.items() if minor} == open_by


@given(
    minor=st.integers(-(10**14), 10**14),
    first=st.dates(date(1990, 1, 1), date(2090, 1, 1)),
    days=st.integers(1, 1500),
)
@law(25)
def test_a_release_adds_up_and_no_day_differs_by_more_than_one_unit(minor: int, first: date, days: int) -> None:
    last = first + timedelta(days=days - 1)
    rows = release_schedule(pl.DataFrame({"deferred_minor": [minor], "first_day": [first], "last_day": [last]}))
    assert rows["released_minor"].sum() == minor
    assert rows["released_on"].max() == last
    for month, released_on, released in rows.select("month", "released_on", "released_minor").iter_rows():
        count = (released_on - max(month, first)).days + 1
        assert 0 <= released - count * (minor // days) <= count


# ---------------------------------------------------------------- payments


def test_payments_move_cash_and_what_is_owed() -> None:
    journal = booked(document(1, [line(1000)]), events=facts(paid("received", "10.00"), paid("refunded", "4")))
    assert (balance(journal, "cash"), balance(journal, "receivable")) == (600, 400)


def test_an_attempt_that_failed_moves_nothing() -> None:
    journal = booked(document(1, [line(1000)]), events=facts(paid("failed", "10.00")))
    assert balance(journal, "cash") == 0
    assert journal.entries.height == 1


def test_a_failure_under_the_reference_of_a_payment_takes_it_back() -> None:
    inputs = facts(paid("received", "10.00"), paid("failed", "10.00", "2024-02-12"), paid("failed", "10.00"))
    journal = booked(document(1, [line(1000)]), events=inputs)
    assert (balance(journal, "cash"), balance(journal, "receivable")) == (0, 1000)


# ---------------------------------------------------------------- credit notes


def test_credit_notes_of_everything_give_back_all_of_revenue_and_tax() -> None:
    notes = facts(note("3.33"), note("3.33"), note("5.24"))
    journal = booked(document(1, [line(1000)], tax=190), events=notes)
    assert {name: balance(journal, name) for name in ("receivable", "revenue", "tax_payable")} == {
        "receivable": 0,
        "revenue": 0,
        "tax_payable": 0,
    }


def test_a_credit_note_beyond_the_total_is_left_out_and_the_next_one_fits() -> None:
    journal = booked(document(1, [line(1000)]), events=facts(note("6"), note("6"), note("4"), note("0.01")))
    assert balance(journal, "receivable") == 0


def test_a_void_takes_back_the_invoice_its_release_and_its_credit_notes() -> None:
    one = document(1, [line(3100, *NEXT), line(900)], tax=100)
    when = {"acme-000001": "2024-02-15T00:00:00+00:00"}
    journal = booked(one, events=facts(note("5", "2024-02-10"), note("5", "2024-02-20")), voided=when)
    sums = journal.postings.group_by("account").agg(pl.col("amount_minor").sum())
    assert set(sums["amount_minor"]) == {0}
    assert balance(journal, "deferred_revenue", "2024-02-14") == -3100
    assert balance(journal, "deferred_revenue", "2024-02-15") == 0
    assert balance(journal, "revenue", "2024-02-28") == 0


# ---------------------------------------------------------------- wallets


def used(amount: int, origin: str, number: int = 2, issued_on: str = "2024-02-02") -> tuple[dict[str, Any], str]:
    return document(number, [line(5000)], issued_on=issued_on, credits=[("wallet", "w", amount)]), origin


def journal_of(events: pl.DataFrame, *invoices: tuple[dict[str, Any], str], **more: Any) -> Journal:
    found = read(*(one for one, _ in invoices))
    origins = found.credits.with_columns(pl.Series("origin", [origin for _, origin in invoices], pl.String))
    known = type(found)(found.invoices, found.lines, origins)
    moves, _ = derive_movements(known, inputs_of(known, events, **more))
    return book_entries(moves, no_bookings())


def test_granted_credit_lowers_revenue_when_it_is_used_and_was_never_cash() -> None:
    journal = journal_of(facts(wallet("granted", "20")), used(800, "test#b0"))
    assert balance(journal, "cash") == 0
    assert balance(journal, "promotional_credit") == 800
    assert balance(journal, "receivable") == 4200
    assert (balance(journal, "customer_credit"), balance(journal, "granted_credit")) == (-1200, 1200)


def test_purchased_credit_is_owed_until_it_is_used() -> None:
    journal = journal_of(facts(wallet("purchased", "20")), used(800, "test#b0"))
    assert (balance(journal, "cash"), balance(journal, "customer_credit")) == (2000, -1200)
    assert balance(journal, "promotional_credit") == 0


@pytest.mark.parametrize(("kind", "expected"), [("granted", 0), ("purchased", -1200)])
def test_what_expires_is_revenue_only_if_it_was_paid_for(kind: str, expected: int) -> None:
    journal = journal_of(facts(wallet(kind, "20", expires_at="2024-03-01")), used(800, "test#b0"))
    assert balance(journal, "expired_credit") == expected
    assert (balance(journal, "customer_credit"), balance(journal, "granted_credit")) == (0, 0)


def test_a_void_takes_what_would_be_spent_first_and_not_what_had_expired() -> None:
    events = facts(
        wallet("purchased", "10", expires_at="2024-01-20"),
        wallet("purchased", "10", "2024-01-02", expires_at="2024-06-01"),
        wallet("granted", "10", "2024-01-03", expires_at="2024-06-01"),
        wallet("voided", "15", "2024-02-05"),
    )
    journal = journal_of(events)
    kinds = journal.postings.join(journal.entries, on=["tenant", "entry_id"]).filter(
        pl.col("account") == "customer_credit"
    )
    assert dict(kinds.group_by("kind").agg(pl.col("amount_minor").sum()).rows()) == {
        "wallet_purchased": -2000,
        "wallet_granted": -1000,
        "wallet_voided": 1000 + 500,
        "wallet_expired": 1000 + 500,
    }
    assert balance(journal, "customer_credit") == 0


def test_voids_of_one_wallet_take_one_after_the_other() -> None:
    events = facts(wallet("purchased", "10"), wallet("voided", "4"), wallet("purchased", "3"), wallet("voided", "20"))
    assert balance(journal_of(events), "customer_credit") == 0
    assert balance(journal_of(events), "cash") == 0


def test_a_fraction_of_a_minor_unit_is_not_booked() -> None:
    assert balance(journal_of(facts(wallet("purchased", "10.009"))), "customer_credit") == -1000


# ---------------------------------------------------------------- laws

LINES = st.lists(
    st.tuples(
        st.integers(-5000, 20_000),
        st.sampled_from(
            [("2024-01-01", "2024-02-01"), NEXT, ("2024-02-01", "2025-02-01"), ("2024-01-15", "2024-04-02")]
        ),
    ),
    min_size=1,
    max_size=4,
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[Event], dict[str, str]]:
    """Invoices, events about them, and which are voided."""
    invoices, events, voided = [], [], {}
    for number in range(1, draw(st.integers(1, 4)) + 1):
        lines = [line(minor, *period) for minor, period in draw(LINES)]
        positive = sum(max(round(float(one["amount"]) * 100), 0) for one in lines)
        discount, tax = draw(st.integers(0, positive)), draw(st.integers(0, 500))
        invoices.append(document(number, lines, discount=discount, tax=tax))
        for kind in draw(st.lists(st.sampled_from(["received", "failed", "refunded"]), max_size=3)):
            amount = draw(st.integers(1, 9000))
            events.append(paid(kind, f"{amount / 100:.2f}", reference=draw(st.sampled_from("ab")), number=number))
        amounts = draw(st.lists(st.integers(1, 9000), max_size=3))
        events += [note(f"{amount / 100:.2f}", number=number) for amount in amounts]
        if draw(st.booleans()):
            voided[f"acme-{number:06d}"] = "2024-03-05T00:00:00+00:00"
    for kind in draw(st.lists(st.sampled_from(["granted", "purchased", "voided"]), max_size=4)):
        expiry = draw(st.sampled_from([None, "2024-02-01", "2024-09-01"]))
        events.append(wallet(kind, f"{draw(st.integers(1, 5000)) / 100:.2f}", expires_at=expiry))
    return invoices, events, voided


def invoiced(found: Any, voided: dict[str, str]) -> pl.DataFrame:
    not_voided = found.invoices.filter(~pl.col("number").is_in(list(voided)))
    return not_voided.select("tenant", "customer", "currency", pl.col("total_minor").alias("amount_minor")).cast(
        AMOUNTS_OWED
    )


@given(worlds())
@law(25)
def test_every_journal_keeps_its_rules(world: tuple[list[dict[str, Any]], list[Event], dict[str, str]]) -> None:
    invoices, events, voided = world
    found, billing_events = read(*invoices), facts(*events)
    inputs = inputs_of(found, billing_events, voided)
    moves, _ = derive_movements(found, inputs)
    journal = book_entries(moves, no_bookings())
    assert violations(journal.postings, receivables(invoiced(found, voided), inputs)).to_dicts() == []
    ids = journal.entries["entry_id"]
    assert ids.n_unique() == len(ids)


@given(worlds(), st.randoms(use_true_random=False))
@law(25)
def test_order_and_batching_do_not_matter(
    world: tuple[list[dict[str, Any]], list[Event], dict[str, str]], random: Any
) -> None:
    invoices, events, voided = world
    billing_events = facts(*events)
    everything = read(*invoices)
    whole = book_entries(derive_movements(everything, inputs_of(everything, billing_events, voided))[0], no_bookings())
    parts: list[Journal] = []
    shuffled = random.sample(invoices, len(invoices))
    known = bills(everything, voided)
    for one in shuffled:
        found = read(one)
        inputs = inputs_of(found, billing_events, voided)
        moves, _ = derive_movements(
            found, type(inputs)(inputs.facts, known, inputs.corrected, inputs.used, inputs.zones, LATER)
        )
        causes = moves.select("tenant", "kind", "reference").unique()
        prior = net_postings(parts).join(causes, on=["tenant", "kind", "reference"], how="semi")
        parts.append(book_entries(moves, prior))
    found_ids = pl.concat([part.entries for part in parts]).sort("entry_id")
    assert found_ids.equals(whole.entries.sort("entry_id"))
    both = pl.concat([part.postings for part in parts]).sort("entry_id", "position")
    assert both.equals(whole.postings.sort("entry_id", "position"))


@given(worlds(), worlds())
@law(25)
def test_books_brought_from_any_state_to_any_other_end_in_it(
    before: tuple[list[dict[str, Any]], list[Event], dict[str, str]],
    after: tuple[list[dict[str, Any]], list[Event], dict[str, str]],
) -> None:
    journals: list[Journal] = []
    for invoices, events, voided in (before, after, after, ([], [], {})):
        found = read(*invoices)
        moves, _ = derive_movements(found, inputs_of(found, facts(*events), voided))
        journals.append(book_entries(moves, net_postings(journals)))
    assert journals[2].entries.is_empty()
    ids = pl.concat([one.entries for one in journals])["entry_id"]
    assert ids.n_unique() == len(ids)
    everything = pl.concat([one.postings for one in journals])
    assert violations(everything, AMOUNTS_OWED.to_frame()).is_empty()
    left = everything.group_by("account", "customer", "invoice", "wallet").agg(pl.col("amount_minor").sum())
    assert set(left["amount_minor"]) <= {0}


def test_an_entry_is_known_by_what_caused_it_alone() -> None:
    one, two = (booked(document(1, [line(1000, *NEXT)])) for _ in range(2))
    assert one.entries["entry_id"].to_list() == two.entries["entry_id"].to_list()
    assert json.loads(json.dumps(one.entries["entry_id"].to_list())) == two.entries["entry_id"].to_list()


def test_documents_of_the_engine_itself_keep_every_rule() -> None:
    fees = [{"key": "base", "amount": "49.99"}, {"key": "desk", "amount": "7", "timing": "in_arrears"}]
    plan = {"key": "pro", "period": {"align": "anniversary"}, "fees": fees, "commitment": {"minimum": "80"}}
    coupon = {"key": "launch", "percent": "15", "applies_to": {"charges": ["base"]}}
    taxes = [{"key": "vat", "percent": "19"}]
    inputs = World({"currency": "USD", "meters": [], "plans": [plan], "coupons": [coupon], "taxes": taxes})
    inputs.start("2023-11-15")
    inputs.record("coupon.applied", "2023-11-15", {"customer": "c1", "coupon": "launch"})
    inputs.record("subscription.ended", "2024-01-20", {"subscription": "s1"})
    found = read(*inputs.documents("2023-11-01", "2024-03-01"))
    moves, _ = derive_movements(found, inputs_of(found))
    journal = book_entries(moves, no_bookings())
    assert violations(journal.postings, invoiced(found, {})).to_dicts() == []
    assert balance(journal, "deferred_revenue", "2023-12-01") < 0
