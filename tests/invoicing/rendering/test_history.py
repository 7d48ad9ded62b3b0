"""What a copy of an invoice shows beside its document: payments, credits, corrections, voids, and partly used
allowances."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from tests.invoicing.rendering.test_presentation import USAGE, line, shown, used
from valueverse.invoicing.rendering.history import InvoiceHistory, IssuedCredit, OtherInvoice, Payment

PAID = InvoiceHistory(
    payments=(
        Payment("payment_received", "2024-02-20", "60.00", "2024-02-21T06:00:00"),
        Payment("payment_refunded", "2024-02-25", "-10.00", "2024-02-26T06:00:00.5"),
    ),
    credit_notes=(IssuedCredit("5.00", "slow", "2024-02-21T23:00:00"),),
)


def test_payments_since_issue_lower_what_remains_due_and_leave_the_totals() -> None:
    found = shown(history=PAID)
    assert found["totals"] == shown()["totals"]
    assert found["since"]["rows"] == [
        ["Payment received Feb 20, 2024", "\N{MINUS SIGN}60.00", False],
        ["Payment refunded Feb 25, 2024", "10.00", False],
        ["Remains due EUR", "36.65", True],
    ]
    credit, booked = found["since"]["notes"]
    assert credit == "5.00\xa0EUR were credited on Feb 22, 2024 (slow): your next invoices are lower by them."
    assert booked.startswith("As booked on Feb 26, 2024")
    pay, apart = found["payment"]["texts"]
    assert pay.startswith("Please pay 36.65\xa0EUR by")
    assert apart == "Credit notes do not lower this amount: they are taken off your next invoices."
    assert shown()["since"] is None


@pytest.mark.parametrize(
    ("paid", "label", "amount"), [("86.65", "Remains due", "0.00"), ("90", "Paid too much", "3.35")]
)
def test_an_invoice_that_is_paid_says_so_and_asks_for_nothing(paid: str, label: str, amount: str) -> None:
    history = InvoiceHistory(payments=(Payment("payment_received", "2024-02-20", paid, "2024-02-21T06:00:00"),))
    found = shown(history=history)
    assert found["since"]["rows"][-1] == [f"{label} EUR", amount, True]
    assert found["payment"]["texts"] == ["This invoice is paid. Nothing is to be paid."]
    assert (found["payment"]["rows"], found["payment"]["code"]) == ([], None)


def test_corrections_and_replacements_name_the_other_invoices_and_a_void_its_reason() -> None:
    first = (OtherInvoice("acme-000001", "2024-01-02"),)
    corrected = [line(kind="adjustment", amount="4.00")]
    found = shown("de", history=InvoiceHistory(corrects=first), lines=corrected)
    assert (found["title"], dict(found["facts"])["Korrigiert"]) == ("Korrekturrechnung", "acme-000001 (02.01.2024)")
    assert shown(lines=corrected, total="-4.00", amount_due="-4.00")["title"] == "Credit note"
    assert shown(lines=corrected, total="-4.00", amount_due="-4.00")["totals"][-1] == [
        "Balance in your favour EUR", "4.00", True,
    ]  # fmt: skip
    voided = InvoiceHistory(voided_on="2024-02-08T23:30:00", void_reason="wrong customer", replaced_by=first)
    found = shown(history=voided, status="voided")
    assert found["payment"]["texts"] == [
        "This invoice is void since February 9, 2024: wrong customer. It is not to be paid."
    ]
    assert dict(found["facts"])["Replaced by"] == "acme-000001 (Jan 2, 2024)"


def test_history_is_read_from_what_the_warehouse_answers() -> None:
    assert InvoiceHistory.of(None, 2) == InvoiceHistory()
    none: dict[str, Any] = dict.fromkeys(("plan", "plan_version", "has_overrides", "voided_on", "void_reason"))
    lists = {name: [] for name in ("credit_notes", "corrects", "corrected_by", "replaces", "replaced_by")}
    paid = {"kind": "payment_received", "date": "2024-02-20", "amount_minor": "-6000", "booked_at": "2024"}
    text = json.dumps(none | lists | {"payments": [paid]})
    assert InvoiceHistory.of(text, 2).remaining("86.65") == Decimal("26.65")


AGREED = InvoiceHistory(plan="pro", plan_version=1, has_overrides=False)


def test_partly_used_allowances_are_shown_where_the_catalog_s_terms_were_agreed() -> None:
    free = USAGE | {"quantity": "40", "tiers": [], "amount": "0.00", "amount_precise": "0"}
    (row,) = shown(history=AGREED, lines=[free])["usage"]["progress"]
    thousands = "\N{MULTIPLICATION SIGN} 1,000"
    assert row == ["Included usage: Tokens", f"40 {thousands} of 100 {thousands} included tokens", 400]
    for unknown in (None, InvoiceHistory(has_overrides=True)):
        assert shown(history=unknown, lines=[free])["usage"] is None
    # More than the catalog includes, and nothing billed: other terms than the catalog's.
    assert shown(history=AGREED, lines=[free | {"quantity": "101"}])["usage"] is None


def test_a_commitment_that_is_reached_is_shown_for_a_whole_period_without_overrides() -> None:
    sold = {"plans": [{"key": "pro", "commitment": {"minimum": "80.00"}}]}
    lines = [line(), used("calls", "50.00")]
    assert shown(catalog=sold, history=AGREED, lines=lines)["usage"]["progress"] == [
        ["Minimum commitment", "90.00\xa0EUR of 80.00\xa0EUR", 1000]
    ]
    part = [line(description="Platform (3 of 31 days)", amount="50.00"), used("calls", "50.00")]
    for history, shown_lines in (
        (InvoiceHistory(plan="pro", plan_version=1), lines),
        (AGREED, part),
        (AGREED, lines[:1]),
    ):
        assert shown(catalog=sold, history=history, lines=shown_lines)["usage"] is None
