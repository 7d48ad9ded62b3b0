"""The journal step on a real warehouse: what billing runs leave is booked once, the rest as differences."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pytest

from assets.journal import journal
from assets.resources import Platform
from quality.gate import decide_release
from tests.support.ledger import World
from tests.support.warehouse_billing import LATER, acme, rows, run, store
from valueverse.ledger.invariants import RECEIVABLE_EXPLAINED
from valueverse.platform.warehouse import connect
from valueverse.services.billing.book_journal import JournalReport, book_journal

if TYPE_CHECKING:
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration


def world() -> World:
    """Two customers who pay in advance, one of them prepaid, with a coupon, tax and a payment."""
    fees = [{"key": "base", "amount": "50"}, {"key": "desk", "amount": "7", "timing": "in_arrears"}]
    plan = {"key": "pro", "period": {"align": "anniversary"}, "fees": fees}
    coupon = {"key": "launch", "percent": "20", "applies_to": {"charges": ["base"]}}
    taxes = [{"key": "vat", "percent": "19"}]
    company = World({"currency": "USD", "meters": [], "plans": [plan], "coupons": [coupon], "taxes": taxes})
    for name in ("c1", "c2"):
        company.start("2023-11-15", subscription=f"s-{name}", customer=name)
    company.record("coupon.applied", "2023-11-15", {"customer": "c1", "coupon": "launch"})
    company.record(
        "wallet.granted",
        "2023-11-01",
        {"customer": "c1", "wallet": "w", "amount": "10", "currency": "USD", "expires_at": "2023-12-01"},
    )
    company.record(
        "wallet.purchased", "2023-11-02", {"customer": "c1", "wallet": "w", "amount": "30", "currency": "USD"}
    )
    company.record(
        "payment.received",
        "2023-12-10",
        {"invoice": "acme-000001", "amount": "7.60", "currency": "USD", "reference": "bank 1"},
    )
    return company


def booked(settings: Settings, company: World) -> JournalReport:
    return book_journal(settings, store(company, settings), as_of=LATER, run_id="test")


BALANCES = (
    "select account, coalesce(customer, ''), sum(amount_minor) from billing.journal_posting "
    "group by 1, 2 having sum(amount_minor) <> 0 order by 1, 2"
)
COUNTS = "select (select count(*) from billing.journal_entry), (select count(*) from billing.journal_posting)"


def owed(settings: Settings) -> list[tuple[Any, ...]]:
    return rows(
        settings,
        "select customer, sum(amount_minor) from billing.journal_posting where account = 'receivable' "
        "group by 1 having sum(amount_minor) <> 0 order by 1",
    )


def test_a_run_is_booked_and_every_rule_holds(settings: Settings) -> None:
    run(world(), settings)
    report = booked(settings, world())
    assert report.violations.to_dicts() == []
    assert report.rejected.to_dicts() == []
    found = {(account, customer): amount for account, customer, amount in rows(settings, BALANCES)}
    assert ("deferred_revenue", "c1") not in found
    assert ("customer_credit", "c1") not in found
    assert found["promotional_credit", "c1"] == 1000
    assert found["cash", ""] == 3000 + 760
    assert sum(found.values()) == 0


def test_what_is_receivable_is_what_the_invoices_leave_to_pay(settings: Settings) -> None:
    run(world(), settings)
    booked(settings, world())
    due = dict(rows(settings, "select customer, sum(amount_due_minor)::bigint from billing.invoice group by 1"))
    due["c1"] -= 760
    assert dict(owed(settings)) == {customer: amount for customer, amount in due.items() if amount}


def test_booking_again_changes_nothing(settings: Settings) -> None:
    run(world(), settings)
    assert booked(settings, world()).journal.entries.height > 5
    before = rows(settings, COUNTS)
    run(world(), settings)
    again = booked(settings, world())
    assert again.journal.entries.is_empty()
    assert rows(settings, COUNTS) == before


def test_a_void_takes_everything_of_its_invoice_back(settings: Settings) -> None:
    run(world(), settings)
    booked(settings, world())
    company = world()
    void = {"invoice": "acme-000002", "reason": "wrong"}
    company.record("invoice.voided", "2024-01-20", void, received_at=LATER + timedelta(days=1))
    run(company, settings)
    report = booked(settings, company)
    assert report.violations.to_dicts() == []
    left = rows(
        settings,
        "select p.account, sum(p.amount_minor) from billing.journal_posting p join billing.journal_entry e "
        "using (tenant_id, entry_id) where e.reference = 'acme-000002' group by 1 having sum(p.amount_minor) <> 0",
    )
    assert left == []


def test_a_payment_that_was_withdrawn_is_taken_back_by_an_entry(settings: Settings) -> None:
    run(world(), settings)
    booked(settings, world())
    company = world()
    payment = next(fact for fact in company.facts if fact["type"] == "billing.payment.received")
    payment["known_until"] = LATER
    report = booked(settings, company)
    assert report.journal.entries.select("kind", "revision").rows() == [("payment_received", 1)]
    assert report.violations.to_dicts() == []
    again = world()
    assert booked(settings, again).journal.entries.select("kind", "revision").rows() == [("payment_received", 2)]


def test_a_payment_for_no_invoice_is_named_and_not_booked(settings: Settings) -> None:
    company = world()
    company.record("payment.received", "2023-12-11", {"invoice": "acme-999999", "amount": "5", "currency": "USD"})
    company.record("payment.received", "2023-12-11", {"invoice": "acme-000001", "amount": "5", "currency": "EUR"})
    company.record("payment.received", "2023-12-11", {"invoice": "acme-000001", "amount": "0.001", "currency": "USD"})
    run(company, settings)
    report = booked(settings, company)
    assert sorted(report.rejected["reason"]) == ["bad_amount", "unknown_invoice", "wrong_currency"]
    assert report.violations.to_dicts() == []
    booked(settings, company)
    listed = "select reason, message from billing.rejected_event order by 1"
    assert rows(settings, listed) == [
        ("bad_amount", "not booked: a payment is more than 0 and whole in the currency's minor unit"),
        ("unknown_invoice", "not booked: no invoice 'acme-999999' of this tenant has been finalised"),
        ("wrong_currency", "not booked: the invoice 'acme-000001' is in another currency"),
    ]
    company.facts[-3]["known_until"] = LATER
    run(company, settings)
    booked(settings, company)
    assert [reason for reason, _ in rows(settings, listed)] == ["bad_amount", "wrong_currency"]


def test_usage_in_arrears_is_revenue_at_once(settings: Settings) -> None:
    run(acme(), settings)
    assert booked(settings, acme()).violations.is_empty()
    kinds = rows(settings, "select distinct kind from billing.journal_entry")
    assert kinds == [("invoice",)]


@pytest.fixture(scope="module")
def books(module_settings: Settings) -> Settings:
    """A warehouse whose invoices are booked; what a test tries on it is refused."""
    run(acme(), module_settings)
    booked(module_settings, acme())
    return module_settings


@pytest.mark.security
@pytest.mark.parametrize("table", ["journal_entry", "journal_posting"])
@pytest.mark.parametrize(
    "statement",
    ["update billing.{} set tenant_id = 'other'", "delete from billing.{}", "truncate billing.{} cascade"],
)
def test_what_is_booked_cannot_be_changed_even_by_a_superuser(books: Settings, table: str, statement: str) -> None:
    assert min(rows(books, COUNTS)[0]) > 0
    with connect(books, "admin") as connection:
        connection.execute("set session_replication_role = replica")
        with pytest.raises(psycopg.errors.RestrictViolation, match="refused"):
            connection.execute(statement.format(table))
        connection.rollback()


@pytest.mark.security
def test_an_entry_takes_no_posting_after_it_was_booked(books: Settings) -> None:
    with (
        connect(books, "builder") as connection,
        pytest.raises(psycopg.errors.RestrictViolation, match="is booked"),
    ):
        connection.execute(
            "insert into billing.journal_posting (tenant_id, entry_id, position, account, amount_minor, currency) "
            "select tenant_id, entry_id, v.place, 'cash', v.amount, currency from billing.journal_entry, "
            "(values (98, 5), (99, -5)) as v(place, amount)"
        )


@pytest.mark.security
def test_an_entry_that_does_not_balance_is_refused(settings: Settings) -> None:
    with connect(settings, "builder") as connection:
        connection.execute(
            "insert into billing.journal_entry (tenant_id, entry_id, kind, reference, date, currency, revision, "
            "booked_at) values ('acme', repeat('a', 64), 'invoice', 'x', '2024-01-01', 'USD', 0, now())"
        )
        with pytest.raises(psycopg.errors.RestrictViolation, match="does not balance"):
            connection.execute(
                "insert into billing.journal_posting (tenant_id, entry_id, position, account, amount_minor, currency) "
                "values ('acme', repeat('a', 64), 1, 'cash', 5, 'USD')"
            )


def test_a_rule_that_does_not_hold_fails_the_run_and_names_the_row(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(acme(1), settings)
    booked(settings, acme(1))
    with connect(settings, "builder") as connection:
        connection.execute(
            "insert into billing.journal_entry (tenant_id, entry_id, kind, reference, date, currency, revision, "
            "booked_at) values ('acme', repeat('f', 64), 'invoice', 'forged', '2024-01-01', 'USD', 0, now())"
        )
        connection.execute(
            "insert into billing.journal_posting (tenant_id, entry_id, position, account, customer, amount_minor, "
            "currency) values ('acme', repeat('f', 64), 1, 'receivable', 'c0', 5, 'USD'), "
            "('acme', repeat('f', 64), 2, 'cash', null, -5, 'USD')"
        )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    # An instance that an earlier test left may be gone: Dagster asks the newest one that was entered.
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize([journal], resources={"platform": Platform()}, raise_on_error=False, instance=instance)
    assert not result.success
    checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
    assert {name for name, check in checks.items() if not check.passed} == {RECEIVABLE_EXPLAINED}
    assert "c0" in str(checks[RECEIVABLE_EXPLAINED].metadata["rows"].value)


def test_a_closing_invoice_without_lines_is_numbered_booked_and_released(settings: Settings) -> None:
    plan = {"key": "pro", "period": {"align": "calendar"}, "fees": [{"key": "base", "amount": "10"}]}
    company = World({"currency": "USD", "plans": [plan]})
    company.record("customer.created", "2023-11-01", {"customer": "c1"})
    company.start("2023-11-01", ends_at="2023-12-01")
    run(company, settings)
    assert booked(settings, company).violations.is_empty()
    found = rows(
        settings,
        "select i.number, i.total_minor, count(l.*), i.document::json ->> 'lines' <> '[]' from billing.invoice i"
        " left join billing.invoice_line l using (tenant_id, invoice_id) group by 1, 2, 4, i.sequence"
        " order by i.sequence",
    )
    assert found == [("acme-000001", 1000, 1, True), ("acme-000002", 0, 0, False)]
    decided = decide_release(settings, ["2023-12"])
    assert decided.select("tenant", "status").rows() == [("acme", "released")]
