"""Credit notes that events issue, as documents of their own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pypdfium2
import pytest

from tests.invoicing.rendering.test_presentation import document, line, parties
from valueverse.invoicing.rendering import BookedCreditNote, InvoiceHistory, OtherInvoice, credit_note_document
from valueverse.invoicing.rendering.pdf import invoice_pdf
from valueverse.invoicing.rendering.presentation import presentation

TWO_RATES: dict[str, Any] = {
    "lines": [line(), line(amount="60.00"), line(amount="10.00")], "total": "122.00", "tax_total": "12.00",
    "taxes": [
        {"key": "vat", "percent": "19", "base": "40.00", "amount": "7.60", "lines": [1]},
        {"key": "low", "percent": "7.33", "base": "60.00", "amount": "4.40", "lines": [2]},
    ],
}  # fmt: skip


def note(amount: int, tax: int) -> BookedCreditNote:
    return BookedCreditNote("crm#7", "CN-7", "outage", "2024-02-20", amount, tax)


@pytest.mark.parametrize(("amount", "tax"), [(12200, 1200), (1, 0), (999, 98), (4000, 393)])
def test_a_credit_note_adds_up_to_what_was_booked_over_all_rates(amount: int, tax: int) -> None:
    found = credit_note_document(document(**TWO_RATES), note(amount, tax))
    lines = [Decimal(one["amount"]) for one in found["lines"]]
    assert sum(lines) == Decimal(found["subtotal"]) == -Decimal(amount - tax) / 100
    assert sum(Decimal(one["amount"]) for one in found["taxes"]) == Decimal(found["tax_total"]) == -Decimal(tax) / 100
    assert Decimal(found["total"]) == Decimal(found["amount_due"]) == -Decimal(amount) / 100
    for one in found["taxes"]:
        assert [Decimal(one["base"])] == [lines[place - 1] for place in one["lines"]]


def test_a_note_of_everything_gives_back_each_rate_and_an_untaxed_invoice_has_none() -> None:
    found = credit_note_document(document(**TWO_RATES), note(12200, 1200))
    assert [(one["percent"], one["base"], one["amount"], one["lines"]) for one in found["taxes"]] == [
        ("19", "-40.00", "-7.60", [1]), ("7.33", "-60.00", "-4.40", [2]),
    ]  # fmt: skip
    assert [one["amount"] for one in found["lines"]] == ["-40.00", "-60.00", "-10.00"]
    untaxed = credit_note_document(document(taxes=[], tax_total="0.00", total="90.00"), note(500, 0))
    assert (untaxed["taxes"], [one["amount"] for one in untaxed["lines"]]) == ([], ["-5.00"])
    # Corrections may leave a rate, or all that was not taxed, below zero.
    below = TWO_RATES | {"taxes": [dict(TWO_RATES["taxes"][0], base="-5.00")], "total": "2.00"}
    assert [one["amount"] for one in credit_note_document(document(**below), note(100, 0))["lines"]] == ["-1.00"]


def test_its_pdf_names_the_invoice_and_asks_for_nothing() -> None:
    corrects = InvoiceHistory(corrects=(OtherInvoice("acme-000001", "2024-02-02"),))
    found = credit_note_document(document(**TWO_RATES), note(12200, 1200))
    shown = presentation(found, parties(), None, corrects)
    assert (shown["title"], shown["number"], shown["verify"], shown["stamp"]) == ("Credit note", "CN-7", [], None)
    assert {"Corrects": "acme-000001 (Feb 2, 2024)", "Issued": "February 20, 2024"}.items() <= dict(
        shown["facts"]
    ).items()
    assert shown["payment"]["texts"] == ["This amount is credited to your next invoices. Nothing is to be paid."]
    pdf = invoice_pdf(found, parties(), None, corrects)
    opened = pypdfium2.PdfDocument(pdf)
    text = opened[0].get_textpage().get_text_bounded()
    assert ("outage" in text, "SHA-256" in text, "Balance in your favour EUR" in text) == (True, False, True)
    assert b"factur-x.xml" not in pdf
