"""The Swiss QR bill: the text of its code, its references by the standard's examples, and the slip on the page."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pypdfium2
import pytest

from tests.invoicing.rendering.test_presentation import document, parties
from valueverse.invoicing.rendering.history import InvoiceHistory, Payment
from valueverse.invoicing.rendering.pdf import invoice_pdf
from valueverse.invoicing.rendering.swiss import bill_of, payload, reference_of, slip_shown

QR_IBAN, IBAN = "CH4431999123000889012", "CH5800791123000889012"
SWISS: dict[str, Any] = {
    "seller": "Robert Schneider AG", "seller_country": "CH", "seller_tax_id": None, "buyer_tax_id": None,
    "seller_address": {"street": "Rue du Lac 1268", "postal_code": "2501", "city": "Biel"},
    "buyer": "Pia-Maria Rutschmann-Schnyder", "buyer_country": "CH",
    "buyer_address": {"street": "Grosse Marktgasse 28", "postal_code": "9400", "city": "Rorschach"},
    "invoicing": {"iban": QR_IBAN},
}  # fmt: skip
UNTAXED = {"currency": "CHF", "taxes": [], "tax_total": "0.00", "total": "90.00", "amount_due": "1949.75"}


def bill(number: str = "2024-000017", amount: str = "1949.75", currency: str = "CHF", **who: Any) -> Any:
    sides = parties(**(SWISS | who))
    return bill_of(document(number=number, currency=currency), sides, Decimal(amount))


@pytest.mark.parametrize(
    ("iban", "number", "expected"),
    [
        (QR_IBAN, "21000000000313947143000901", ("QRR", "210000000003139471430009017")),
        (QR_IBAN, "acme-000001", ("QRR", "000000000000000000000000011")),
        (QR_IBAN, "acme", None),
        (QR_IBAN, "1" * 27, None),
        (IBAN, "5390-0754-7034", ("SCOR", "RF18539007547034")),
        (IBAN, "a" * 22, ("NON", "")),
        (IBAN, "zürich-1", ("NON", "")),
        ("CH58ABCDE123000889012", "1", ("SCOR", "RF741")),
    ],
)
def test_references_are_those_of_the_standard(iban: str, number: str, expected: tuple[str, str] | None) -> None:
    found = reference_of(iban, number)
    assert found == expected
    if found and found[0] == "SCOR":
        turned = found[1][4:] + found[1][:4]
        assert int("".join(str(int(character, 36)) for character in turned)) % 97 == 1


def test_the_code_holds_31_lines_in_their_order() -> None:
    lines = payload(bill()).split("\r\n")
    assert lines[:11] == [
        "SPC", "0200", "1", QR_IBAN, "S", "Robert Schneider AG", "Rue du Lac 1268", "", "2501", "Biel", "CH",
    ]  # fmt: skip
    assert lines[11:18] == [""] * 7
    assert lines[18:27] == [
        "1949.75", "CHF", "S", "Pia-Maria Rutschmann-Schnyder", "Grosse Marktgasse 28", "", "9400", "Rorschach", "CH",
    ]  # fmt: skip
    assert lines[27:] == ["QRR", "000000000000000020240000171", "2024-000017", "EPD"]
    without = payload(bill(buyer_address={"city": "Rorschach"})).split("\r\n")
    assert without[20:27] == [""] * 7


@pytest.mark.parametrize(
    "other",
    [
        {"currency": "USD"}, {"amount": "0"}, {"amount": "1000000000"}, {"invoicing": {}}, {"number": "acme"},
        {"invoicing": {"iban": "DE89370400440532013000"}}, {"seller_address": {"city": "Biel"}},
        {"seller_country": None}, {"seller": "\u4e2d\u6587"},
    ],
)  # fmt: skip
def test_what_the_standard_cannot_state_has_no_slip(other: dict[str, Any]) -> None:
    assert bill(**other) is None
    assert bill(currency="EUR") is not None


def test_a_slip_groups_its_numbers_as_the_style_guide_does() -> None:
    shown = slip_shown(bill(amount="1234567.5", buyer_country="DE"), "de")
    assert shown["account"] == ["CH44 3199 9123 0008 8901 2", "Robert Schneider AG", "Rue du Lac 1268", "2501 Biel"]
    assert shown["debtor"][-1] == "DE-9400 Rorschach"
    assert (shown["reference"], shown["amount"]) == ("00 00000 00000 00002 02400 00171", "1 234 567.50")
    assert slip_shown(bill(invoicing={"iban": IBAN}), "fr")["reference"].startswith("RF")
    assert shown["code"].startswith("<svg")


def last_page(pdf: bytes) -> str:
    opened = pypdfium2.PdfDocument(pdf)
    return str(opened[len(opened) - 1].get_textpage().get_text_bounded())


@pytest.mark.parametrize(
    ("locale", "title"),
    [("de", "Zahlteil"), ("fr", "Section paiement"), ("en", "Payment part"), ("es", "Payment part")],
)
def test_the_slip_ends_the_last_page_in_a_language_that_it_may_have(locale: str, title: str) -> None:
    pdf = invoice_pdf(document(**UNTAXED), parties(**SWISS, locale=locale))
    page = last_page(pdf)
    for part in (title, "1 949.75", "CH44 3199 9123 0008 8901 2", "Pia-Maria Rutschmann-Schnyder"):
        assert part in page
    assert b"<pdfaid:part>3</pdfaid:part>" in pdf


def test_a_slip_asks_for_what_remains_and_a_paid_or_voided_invoice_has_none() -> None:
    def copy(paid: str | None, **more: Any) -> str:
        payments = () if paid is None else (Payment("payment_received", "2024-02-20", paid, "2024-02-21T06:00:00"),)
        pdf = invoice_pdf(document(**UNTAXED | more), parties(**SWISS), None, InvoiceHistory(payments=payments))
        return last_page(pdf)

    assert "949.75" in copy("1000").partition("Receipt")[2]
    assert "Receipt" not in copy("1949.75")
    assert "Receipt" not in copy(None, status="voided")
