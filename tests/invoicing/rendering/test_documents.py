"""Invoice documents as PDF and as EN 16931 XML: rendered for real, and read back."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pypdfium2
import pytest
from typer.testing import CliRunner

from tests.support.ledger import World
from valueverse.cli import app
from valueverse.errors import RefusalError
from valueverse.invoicing.rendering.electronic import Party, invoice_xml
from valueverse.invoicing.rendering.parties import Parties
from valueverse.invoicing.rendering.pdf import invoice_pdf

if TYPE_CHECKING:
    from pathlib import Path

METER = {"key": "tokens", "event_type": "used", "aggregation": "sum", "value": "n"}
ODD = "Platform *fee* #let x = $1$ \\ <b>"
TIERS = [{"up_to": "100", "unit": "0.5", "flat": "2"}, {"up_to": None, "unit": "0.25"}]
SELLER, BUYER = Party("Acme GmbH", "DE", "Berlin", "Straße 1", "10115", "DE123456789"), Party("Kunde & Söhne", "FR")
NAMESPACES = {
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
}


def finished(currency: str = "USD", **more: Any) -> dict[str, Any]:
    """A finalised invoice with a discount, tax on a part of it, and a wallet."""
    fee = {
        "key": "base",
        "amount": "40",
        "timing": "in_arrears",
        "name": "Platform *fee* #let x = $1$ \\ <b>",
        "taxes": ["vat"],
    }
    charge = {"key": "tokens", "meter": "tokens", "price": {"model": "graduated", "tiers": TIERS}}
    plan = {"key": "pro", "period": {"align": "calendar"}, "fees": [fee], "charges": [charge], "currency": currency}
    acme = World(
        {
            "currency": currency,
            "meters": [METER],
            "plans": [plan],
            "taxes": [{"key": "vat", "percent": "19"}],
            "coupons": [{"key": "launch", "percent": "20"}],
        }
    )
    acme.start("2024-01-01")
    acme.record("coupon.applied", "2024-01-01", {"customer": "c1", "coupon": "launch"})
    paid = {"customer": "c1", "wallet": "main", "amount": "30", "currency": currency}
    acme.record("wallet.purchased", "2024-01-02", paid)
    acme.use("2024-01-05", "tokens", "250")
    (document,) = acme.documents("2024-01-01", "2024-02-01")
    return document | {"number": "acme-000001", "status": "finalised"} | more


def text_of(pdf: bytes) -> str:
    return "\n".join(page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(pdf))


def test_a_pdf_shows_every_number_of_the_document_and_its_hash() -> None:
    document = finished()
    shown = text_of(invoice_pdf(document, Parties("Acme GmbH", "Kunde & Söhne")))
    for expected in (
        "Acme GmbH", "Kunde & Söhne", "acme-000001", "February 2, 2024", "129.50", "25.90", "6.08", "109.68", "30.00",
        "79.68",
        "37.50", document["content_hash"], "half up",
    ):  # fmt: skip
        assert expected in shown


def test_a_discount_that_is_given_back_is_added() -> None:
    shown = text_of(invoice_pdf(finished(discounts=[{"key": "launch", "amount": "-7.77"}]), Parties("a", "b")))
    assert "7.77" in shown
    assert "\N{MINUS SIGN}7.77" not in shown
    assert "-7.77" not in shown


def test_a_credit_that_is_owed_again_is_added_to_what_is_due() -> None:
    """109.68 and 20.00 of a credit note that does not stand any more: 129.68."""
    again = [{"kind": "credit_note", "key": "n1", "amount": "-20.00"}]
    document = finished(credits=again, credit_total="-20.00", amount_due="129.68")
    shown = text_of(invoice_pdf(document, Parties("a", "b")))
    assert "Credit note n1 withdrawn" in shown
    assert "\N{MINUS SIGN}20.00" not in shown
    root = read(invoice_xml(document, SELLER, BUYER))
    judge_totals(root, "InvoiceLine")
    assert value(root, "cac:LegalMonetaryTotal/cbc:PayableAmount") == Decimal("129.68")


def test_markup_in_texts_is_shown_and_never_interpreted() -> None:
    assert ODD in text_of(invoice_pdf(finished()))
    hostile = finished(customer='"]; #panic("x") \u202e\u0007\U0001f600')
    assert "#panic" in text_of(invoice_pdf(hostile))


def test_the_same_document_gives_the_same_bytes_and_they_draw() -> None:
    first, second = invoice_pdf(finished()), invoice_pdf(finished())
    assert first == second
    page = pypdfium2.PdfDocument(first)[0].render(scale=0.5)
    assert (page.width, page.height) == (298, 421)


def test_what_is_no_final_invoice_says_so_across_the_page() -> None:
    for status in ("draft", "voided"):
        assert status.upper() in text_of(invoice_pdf(finished(status=status)))
    assert "FINALISED" not in text_of(invoice_pdf(finished()))


def test_a_long_invoice_repeats_its_heading_on_every_page() -> None:
    document = finished()
    document["lines"] *= 400
    pages = pypdfium2.PdfDocument(invoice_pdf(document))
    assert len(pages) > 10
    assert all("Description" in page.get_textpage().get_text_bounded() for page in list(pages)[:5])


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"lines": None}, "bad_document"),
        ({"issued_on": "soon"}, "bad_document"),
        ({"lines": [{}] * 20_001}, "too_large"),
    ],
)
def test_what_is_no_invoice_document_is_refused(change: dict[str, Any], code: str) -> None:
    with pytest.raises(RefusalError) as refused:
        invoice_pdf(finished() | change)
    assert refused.value.code == code


def test_a_void_invoice_has_no_electronic_form_that_a_system_would_pay() -> None:
    with pytest.raises(RefusalError) as refused:
        invoice_xml(finished(status="voided"), SELLER, BUYER)
    assert refused.value.code == "voided_invoice"


def test_a_colour_is_judged() -> None:
    with pytest.raises(RefusalError, match="not a colour"):
        invoice_pdf(finished(), Parties("a", "b", invoicing={"accent": "red"}))


def read(xml: bytes) -> ET.Element:
    return ET.fromstring(xml)


def value(root: ET.Element, path: str) -> Decimal:
    return Decimal(str(root.findtext(path, namespaces=NAMESPACES)))


def values(root: ET.Element, path: str) -> list[Decimal]:
    return [Decimal(str(one.text)) for one in root.findall(path, NAMESPACES)]


def judge_totals(root: ET.Element, lines: str) -> None:
    """The standard's calculations: BR-CO-10, 11, 13, 14, 15, 16, and those of every tax subtotal and line."""
    total = "cac:LegalMonetaryTotal/cbc:"
    net = values(root, f"cac:{lines}/cbc:LineExtensionAmount")
    assert value(root, f"{total}LineExtensionAmount") == sum(net)
    allowances = values(root, "cac:AllowanceCharge/cbc:Amount")
    assert value(root, f"{total}AllowanceTotalAmount") == sum(allowances)
    assert value(root, f"{total}TaxExclusiveAmount") == sum(net) - sum(allowances)
    tax = value(root, "cac:TaxTotal/cbc:TaxAmount")
    assert tax == sum(values(root, "cac:TaxTotal/cac:TaxSubtotal/cbc:TaxAmount"))
    assert value(root, f"{total}TaxInclusiveAmount") == sum(net) - sum(allowances) + tax
    prepaid = value(root, f"{total}PrepaidAmount")
    assert value(root, f"{total}PayableAmount") == value(root, f"{total}TaxInclusiveAmount") - prepaid
    for subtotal in root.findall("cac:TaxTotal/cac:TaxSubtotal", NAMESPACES):
        percent = value(subtotal, "cac:TaxCategory/cbc:Percent")
        due = value(subtotal, "cbc:TaxableAmount") * percent / 100
        assert abs(value(subtotal, "cbc:TaxAmount") - due) < 1
    for line in root.findall(f"cac:{lines}", NAMESPACES):
        quantity = next(one for one in line if one.tag.endswith("Quantity"))
        assert Decimal(str(quantity.text)) * value(line, "cac:Price/cbc:PriceAmount") == value(
            line, "cbc:LineExtensionAmount"
        )


@pytest.mark.parametrize("currency", ["USD", "JPY"])
def test_the_standard_s_totals_hold(currency: str) -> None:
    document = finished(currency)
    root = read(invoice_xml(document, SELLER, BUYER))
    judge_totals(root, "InvoiceLine")
    assert value(root, "cac:LegalMonetaryTotal/cbc:PayableAmount") == Decimal(document["amount_due"])
    assert root.findtext("cbc:InvoiceTypeCode", namespaces=NAMESPACES) == "380"
    names = [one.text for one in root.findall(".//cac:PartyName/cbc:Name", NAMESPACES)]
    assert names == ["Acme GmbH", "Kunde & Söhne"]


def test_below_zero_it_is_a_credit_note_with_positive_amounts() -> None:
    document = finished()
    for line in document["lines"]:
        line["amount"] = str(-Decimal(line["amount"]))
    for tax in document["taxes"]:
        tax |= {"base": str(-Decimal(tax["base"])), "amount": str(-Decimal(tax["amount"]))}
    for name in ("subtotal", "discount_total", "tax_total", "total", "amount_due"):
        document[name] = str(-Decimal(document[name]))
    document |= {"credit_total": "0.00", "credits": [], "amount_due": document["total"]}
    root = read(invoice_xml(document, SELLER, BUYER))
    assert root.tag.endswith("CreditNote")
    judge_totals(root, "CreditNoteLine")
    assert value(root, "cac:LegalMonetaryTotal/cbc:PayableAmount") == -Decimal(document["total"])


def test_a_draft_and_a_party_without_a_country_are_refused() -> None:
    with pytest.raises(RefusalError, match="draft has no number"):
        invoice_xml(finished(number=None), SELLER, BUYER)
    with pytest.raises(RefusalError, match="not a country code"):
        invoice_xml(finished(), Party("a", "Germany"), BUYER)
    with pytest.raises(RefusalError, match="customer has no country"):
        Parties("a", "b", "DE").for_xml()


def test_the_command_writes_both_formats(tmp_path: Path) -> None:
    file = tmp_path / "invoice.json"
    file.write_text(json.dumps(finished()))
    for form, begins in (("pdf", b"%PDF"), ("xml", b"<?xml")):
        out = tmp_path / f"out.{form}"
        countries = ["--seller-country", "DE", "--seller-tax-id", "DE123456789", "--buyer-country", "DE"]
        found = CliRunner().invoke(app, ["document", str(file), "--format", form, "--out", str(out), *countries])
        assert found.exit_code == 0, found.output
        assert out.read_bytes().startswith(begins)


def test_the_document_command_names_lines_by_a_catalog_and_warns_of_what_no_font_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VALUEVERSE_FONTS", str(tmp_path))
    charge = {"key": "tokens", "name": "tokens", "translations": {"en": {"name": "Text tokens"}}, "meter": "tokens"}
    plan = {"key": "pro", "charges": [charge | {"price": {"model": "graduated", "tiers": TIERS}}]}
    sold = {"schema": "valueverse.catalog/v1", "currency": "USD", "timezone": "Asia/Tokyo", "meters": [METER]}
    (tmp_path / "catalog.json").write_text(json.dumps(sold | {"plans": [plan]}))
    tokyo = {"from": "2023-12-31T15:00:00Z", "to": "2024-01-31T15:00:00Z"}
    lines = [line | {"service_period": tokyo} for line in finished()["lines"]]
    (tmp_path / "one.json").write_text(json.dumps(finished(lines=lines, period=tokyo)))
    given = ["document", str(tmp_path / "one.json"), "--catalog", str(tmp_path / "catalog.json"), "--out"]
    found = CliRunner().invoke(app, [*given, str(tmp_path / "one.pdf"), "--buyer", "\U00013000"])
    assert (found.exit_code, found.stderr.startswith('warning: no font can show "\U00013000"')) == (0, True)
    shown = text_of((tmp_path / "one.pdf").read_bytes())
    assert ("Text tokens" in shown, "Dec 31, 2023" in shown, shown.count("Jan 1")) == (True, False, 3)


def test_an_invoice_without_lines_says_that_there_is_nothing_to_bill() -> None:
    nothing = {"lines": [], "discounts": [], "taxes": [], "credits": []}
    totals = ("subtotal", "discount_total", "tax_total", "total", "credit_total", "amount_due")
    document = finished() | nothing | dict.fromkeys(totals, "0.00")
    root = read(invoice_xml(document, SELLER, BUYER))
    judge_totals(root, "InvoiceLine")
    (line,) = root.findall("cac:InvoiceLine", NAMESPACES)
    assert line.findtext("cac:Item/cbc:Name", namespaces=NAMESPACES) == "No fees and no usage in this period."
    assert "Amount due USD 0.00" in " ".join(text_of(invoice_pdf(document)).split())
