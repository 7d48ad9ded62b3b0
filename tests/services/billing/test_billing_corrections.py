"""Late events, voids, credit notes and changed fees on a real warehouse: what later invoices make of them."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.ledger import World, instant
from tests.support.warehouse_billing import (
    CORRECTED,
    INVOICES,
    JANUARY,
    NOVEMBER,
    acme,
    rows,
    run,
    store,
)
from valueverse.platform.lake import Lake
from valueverse.platform.stores.event_store import EventStore
from valueverse.platform.stores.invoice_store import by_number
from valueverse.platform.warehouse import connect
from valueverse.services.billing.book_journal import book_journal
from valueverse.services.billing.explain_event import explain_event
from valueverse.services.billing.reproducibility_check import reproduce
from valueverse.services.billing.run_billing import bill

if TYPE_CHECKING:
    import psycopg

    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def test_what_comes_late_is_a_difference_on_the_next_invoice_and_accounted_for(settings: Settings) -> None:
    world = acme(1)
    first = instant("2023-12-20T00:00:00+00:00")
    run(world, settings, as_of=first)
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-25"))
    run(world, settings, as_of=first)
    assert rows(settings, "select reason, events from billing.unbilled_usage") == [("period_open", 1)]
    for _ in range(2):
        run(world, settings)
        assert rows(settings, CORRECTED) == [("adjustment", 250)]
        assert rows(settings, "select reason, events from billing.unbilled_usage") == []
    assert rows(settings, "select total_minor from billing.invoice order by sequence") == [(1100,), (1250,), (1000,)]


def test_a_voided_invoice_is_billed_again_under_the_next_number_and_gives_its_credits_back(settings: Settings) -> None:
    world = acme(1)
    paid = {"customer": "c0", "wallet": "w", "amount": "11", "currency": "USD"}
    world.record("wallet.purchased", "2023-11-02", paid)
    run(world, settings)
    world.record("invoice.voided", "2024-06-01", {"invoice": "acme-000001", "reason": "wrong"})
    world.record("invoice.voided", "2024-06-01", {"invoice": "acme-000009", "reason": "wrong"})
    for _ in range(2):
        run(world, settings)
        found = rows(
            settings, "select number, revision, total_minor, credit_total_minor from billing.invoice order by 1"
        )
        assert found == [
            ("acme-000001", 0, 1100, 1100),
            ("acme-000002", 0, 1000, 0),
            ("acme-000003", 0, 1000, 0),
            ("acme-000004", 1, 1100, 1100),
        ]
        assert rows(settings, "select reason from billing.rejected_event") == [("unknown_invoice",)]


def test_a_voided_invoice_is_billed_again_by_the_run_that_voids_it_whatever_months_that_run_bills(
    settings: Settings,
) -> None:
    world = acme(2)
    run(world, settings)
    query = (
        "select number, customer, revision, period_to::date::text, total_minor, status from billing.invoice "
        "order by sequence"
    )
    before = rows(settings, query)
    assert [row[1:5] for row in before if row[3] == "2023-12-01"] == [
        ("c0", 0, "2023-12-01", 1100), ("c1", 0, "2023-12-01", 1100),
    ]  # fmt: skip
    world.record("invoice.voided", "2024-06-02", {"invoice": "acme-000001", "reason": "wrong"})
    for turn in range(2):
        as_of = instant(f"2024-06-0{3 + turn}T00:00:00+00:00")
        report = run(world, settings, as_of=as_of, first=JANUARY)
        assert report.invoices["number"].to_list() == ([] if turn else ["acme-000007"])
        assert rows(settings, query) == [*before, ("acme-000007", "c0", 1, "2023-12-01", 1100, "finalised")]
        assert rows(settings, "select reason, events from billing.unbilled_usage") == []
    again = reproduce(settings, Lake(settings.lake_url), [NOVEMBER])
    assert again["ok"].all()
    assert "acme-000007" in again["number"].to_list()


def test_a_run_repeated_over_the_same_knowledge_changes_nothing_where_events_name_numbers_it_assigns(
    settings: Settings,
) -> None:
    """January is a draft: a credit note of 4.00 would pay it."""
    world, at = acme(1), instant("2024-02-01T12:00:00+00:00")
    world.record("invoice.voided", "2023-11-02", {"invoice": "acme-000001", "reason": "a guess"})
    world.record("credit_note.issued", "2023-11-03", {"invoice": "acme-000002", "amount": "4", "reason": "a guess"})
    tables = ("invoice", "invoice_void", "credit_note", "rejected_event")
    found = []
    for _ in range(2):
        lake = store(world, settings)
        bill(settings, lake, NOVEMBER, JANUARY, as_of=at, run_id="test")
        book_journal(settings, lake, as_of=at, run_id="test")
        found.append([rows(settings, f"select * from billing.{table} order by 1, 2") for table in tables])
    assert found[0] == found[1]
    assert rows(settings, "select status, credit_total_minor from billing.invoice order by sequence") == [
        ("finalised", 0), ("finalised", 0), ("draft", 0)
    ]  # fmt: skip
    assert rows(settings, "select reason from billing.rejected_event") == [("unknown_invoice",)] * 2
    assert rows(settings, "select kind from billing.journal_entry where kind in ('void', 'credit_note')") == []
    world.record("invoice.voided", "2023-11-02", {"invoice": "acme-000001", "reason": "wrong"}, received_at=at)
    run(world, settings)
    again = "select revision, total_minor from billing.invoice order by sequence"
    assert rows(settings, again) == [(0, 1100), (0, 1000), (1, 1100), (0, 1000)]


def _history(connection: psycopg.Connection[Any], number: str) -> dict[str, Any]:
    """What became of a finalised invoice."""
    found = by_number(connection, number)
    assert found is not None
    history: dict[str, Any] = json.loads(found["history"])
    return history


def test_late_usage_that_changes_no_amount_is_counted_and_no_invoice_is_made_for_it(settings: Settings) -> None:
    world, unbilled = acme(1), "select reason, events from billing.unbilled_usage"
    world.record("subscription.ended", "2024-01-01", {"subscription": "s0"})
    run(world, settings, as_of=instant("2024-01-20T00:00:00+00:00"))
    issued = rows(settings, INVOICES)
    assert [row[0] for row in issued] == ["acme-000001", "acme-000002"]
    world.use("2023-11-07", "tokens", "0.2", customer="c0", received_at=instant("2024-02-10"))
    for _ in range(2):
        run(world, settings)
        assert (rows(settings, INVOICES), rows(settings, unbilled)) == (issued, [])
    lake = Lake(settings.lake_url)
    with connect(settings, "builder") as connection:
        (late,) = explain_event(EventStore(connection), lake, "test", "u1", "acme")
    assert (late["outcome"], late["lines"], late["changes_nothing_of"]) == ("billed", [], "acme-000001")
    world.use("2023-11-08", "tokens", "1", customer="c0", received_at=instant("2024-03-10"))
    run(world, settings)
    assert rows(settings, CORRECTED) == [("adjustment", 1)]
    assert rows(settings, "select event_count from billing.invoice_line where corrected_invoice_id is not null") == [
        (2,)
    ]
    assert reproduce(settings, lake, [date(2023, 12, 1)])["ok"].all()
    with connect(settings, "builder") as connection:
        history = _history(connection, "acme-000001")
    assert [one["number"] for one in history["corrected_by"]] == ["acme-000003"]


def test_a_line_of_0_on_the_next_invoice_is_no_correction_of_an_invoice_s_history(settings: Settings) -> None:
    world = acme(1)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    world.use("2023-11-07", "tokens", "0.2", customer="c0", received_at=instant("2023-12-25"))
    run(world, settings)
    assert rows(settings, CORRECTED) == [("adjustment", 0)]
    with connect(settings, "builder") as connection:
        found = [_history(connection, f"acme-00000{n}") for n in (1, 2)]
    assert found[0]["corrected_by"] == []
    assert [one["number"] for one in found[1]["corrects"]] == ["acme-000001"]


def test_what_corrected_an_invoice_is_taken_back_when_it_is_voided_and_billed_again(settings: Settings) -> None:
    world = acme(1)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-25"))
    run(world, settings)
    world.record("invoice.voided", "2024-06-01", {"invoice": "acme-000001", "reason": "wrong"})
    for _ in range(2):
        run(world, settings)
        lines = (
            "select kind, amount_minor from billing.invoice_line join billing.invoice using (tenant_id, invoice_id) "
            "where number = 'acme-000004' order by line_no"
        )
        assert rows(settings, lines) == [
            ("fee", 1000),
            ("usage", 350),
            ("adjustment", -250),
        ]
        assert rows(settings, "select count(*) from billing.invoice") == [(4,)]


def test_a_correction_whose_invoice_was_voided_is_booked_again(settings: Settings) -> None:
    world = acme(1)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    world.use("2023-11-07", "tokens", "250", customer="c0", received_at=instant("2023-12-25"))
    run(world, settings)
    world.record("invoice.voided", "2024-06-01", {"invoice": "acme-000002", "reason": "wrong"})
    run(world, settings)
    totals = "select number, total_minor from billing.invoice order by sequence"
    assert rows(settings, totals)[-1] == ("acme-000004", 1250)


def test_a_credit_note_by_number_pays_the_next_invoice_once(settings: Settings) -> None:
    world = acme(1)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    note = {"invoice": "acme-000001", "amount": "4", "reason": "outage"}
    world.record("credit_note.issued", "2023-12-21", note, id="note-1")
    for _ in range(2):
        run(world, settings)
        found = rows(settings, "select credit_total_minor from billing.invoice order by sequence")
        assert found == [(0,), (400,), (0,)]
    assert rows(settings, "select number, customer, amount from billing.credit_note") == [("acme-000001", "c0", 4)]
    assert rows(settings, "select kind, key, amount_minor from billing.invoice_credit") == [
        ("credit_note", "note-1", 400)
    ]


def test_a_fee_that_is_not_due_any_more_is_given_back_with_the_tax_that_its_document_shows(settings: Settings) -> None:
    plans = [
        {"key": key, "period": {"align": "calendar"}, "taxes": ["vat"], "fees": [{"key": fee, "amount": amount}]}
        for key, fee, amount in (("pro", "base", "100"), ("basic", "low", "40"))
    ]
    world = World({"plans": plans, "taxes": [{"key": "vat", "percent": "19"}]})
    world.record("customer.created", "2023-10-30", {"customer": "c0"})
    world.start("2023-11-01", subscription="s0", customer="c0")
    world.use("2023-11-05", "tokens", "100", customer="c0")
    one_off = {"customer": "c0", "description": "help", "amount": "50", "currency": "USD"}
    world.record("one_off.added", "2023-11-05", one_off)
    run(world, settings, as_of=instant("2023-12-20T00:00:00+00:00"))
    change = {"subscription": "s0", "plan": "basic"}
    world.record("subscription.changed", "2023-12-01", change, received_at=instant("2023-12-25"))
    world.use("2023-12-26", "tokens", "1", customer="c0")
    run(world, settings)
    lines = rows(
        settings,
        "select key, kind, l.amount_minor, l.tax_minor from billing.invoice_line l join billing.invoice "
        "using (tenant_id, invoice_id) order by sequence, line_no",
    )
    # The fees of November and December, and help without tax; later December's fee is the other plan's.
    assert [line for line in lines if line[1] != "one_off"] == [
        ("base", "fee", 10000, 1900), ("base", "fee", 10000, 1900),
        ("low", "fee", 4000, 760), ("base", "adjustment", -10000, -1900), ("low", "adjustment", 4000, 760),
        ("low", "fee", 4000, 760),
    ]  # fmt: skip
    assert [line[2:] for line in lines if line[1] == "one_off"] == [(5000, 0)]
    months = [date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1)]
    assert reproduce(settings, Lake(settings.lake_url), months)["ok"].all()


def test_a_void_waits_for_its_date_and_is_known_from_the_run_that_recorded_it(settings: Settings) -> None:
    world, void = acme(1), {"invoice": "acme-000001", "reason": "wrong"}
    run(world, settings, as_of=instant("2024-01-20"))
    world.record("invoice.voided", "2024-01-25", void, received_at=instant("2024-01-21"))
    run(world, settings, as_of=instant("2024-01-24"))
    assert rows(settings, "select * from billing.invoice_void") == []
    run(world, settings, as_of=instant("2024-01-28"))
    last = "select number, revision from billing.invoice where number is not null order by sequence desc limit 1"
    assert rows(settings, last) == [("acme-000003", 1)]
    # On the 26th nobody knew; what asks for an instant before a run, for metrics or for next invoices, agrees.
    asked = (
        "select count(voided_at) from billing.prior_invoices('acme', 'c0', '{}') where number = 'acme-000001'",
        "select count(*) from billing.prior_lines('acme', 'c0', '{}', null)",
        "select 1 - count(distinct invoice) from value.effective_lines('{{acme}}', '{}') where invoice = 'acme-000001'",
        "select count(voided_at) from billing.explain_invoices('acme', 'acme-000001', null, '{}')",
    )
    known = [[rows(settings, one.format(at))[0][0] for one in asked] for at in ("2024-01-26Z", "2024-01-28Z")]
    assert known == [[0, 0, 0, 0], [1, 0, 1, 1]]
    assert reproduce(settings, Lake(settings.lake_url), [date(2023, 12, 1)])["ok"].to_list() == [True]


def test_a_fee_of_a_quarter_ahead_that_is_given_back_is_revenue_of_none_of_its_months(settings: Settings) -> None:
    fee = {"key": "base", "amount": "276"}
    world = World({"plans": [{"key": "pro", "period": {"unit": "quarter", "align": "calendar"}, "fees": [fee]}]})
    world.start("2023-08-01", subscription="s0", customer="c0")
    run(world, settings, as_of=instant("2023-10-05"), first=date(2023, 7, 1))
    known = instant("2023-10-10")
    world.record("subscription.ended", "2023-10-01", {"subscription": "s0"}, received_at=known)
    world.use("2023-10-09", "tokens", "1", customer="c0", received_at=known)
    run(world, settings, as_of=instant("2023-11-20"), first=date(2023, 7, 1))
    served = (
        "select number, service_from::date::text, service_to::date::text, amount_minor, period_to::date::text "
        "from billing.invoice_line join billing.invoice using (tenant_id, invoice_id) where kind = 'adjustment'"
    )
    assert rows(settings, served) == [("acme-000003", "2023-10-01", "2024-01-01", -27600, "2023-10-01")]
    book_journal(settings, store(world, settings), as_of=instant("2024-02-01"), run_id="test")
    by_month = (
        "select date_trunc('month', date)::date::text, sum(amount_minor)::int from billing.journal_posting "
        "join billing.journal_entry using (tenant_id, entry_id) where account = 'revenue' and date >= '2023-10-01' "
        "group by 1 order by 1"
    )
    assert rows(settings, by_month) == [(f"2023-{month}-01", 0) for month in (10, 11, 12)]
