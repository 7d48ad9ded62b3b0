"""One invoice as EN 16931 XML, element by element: names, order, codes and every number."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from decimal import Decimal
from typing import Any

import pytest

from tests.invoicing.rendering.test_documents import finished
from valueverse.errors import RefusalError
from valueverse.invoicing.rendering.electronic import Party, invoice_xml

SELLER = Party("Acme GmbH", "DE", "Berlin", "Straße 1", "10115", "DE123456789")
BUYER = Party("Kunde & Söhne", "FR")
UBL = "urn:oasis:names:specification:ubl:schema:xsd:"
PREFIXES = {f"{UBL}CommonBasicComponents-2": "", f"{UBL}CommonAggregateComponents-2": "+ "}

# Fee 40.00 (19 % tax) and usage 100 x 0.5 + 2 + 150 x 0.25 = 89.50 (none); 20 % off each; 30.00 paid from a wallet.
INVOICE = """\
CustomizationID: urn:cen.eu:en16931:2017
ID: acme-000001
IssueDate: 2024-02-02
DueDate: 2024-03-03
InvoiceTypeCode: 380
Note: content hash abc
DocumentCurrencyCode: USD
BuyerReference: c1
+ InvoicePeriod
  StartDate: 2024-01-01
  EndDate: 2024-01-31
+ AccountingSupplierParty
  + Party
    + PartyName
      Name: Acme GmbH
    + PostalAddress
      StreetName: Straße 1
      CityName: Berlin
      PostalZone: 10115
      + Country
        IdentificationCode: DE
    + PartyTaxScheme
      CompanyID: DE123456789
      + TaxScheme
        ID: VAT
    + PartyLegalEntity
      RegistrationName: Acme GmbH
+ AccountingCustomerParty
  + Party
    + PartyName
      Name: Kunde & Söhne
    + PostalAddress
      + Country
        IdentificationCode: FR
    + PartyLegalEntity
      RegistrationName: Kunde & Söhne
+ AllowanceCharge
  ChargeIndicator: false
  AllowanceChargeReason: launch
  Amount: 8.00 currencyID=USD
  + TaxCategory
    ID: S
    Percent: 19
    + TaxScheme
      ID: VAT
+ AllowanceCharge
  ChargeIndicator: false
  AllowanceChargeReason: launch
  Amount: 17.90 currencyID=USD
  + TaxCategory
    ID: Z
    Percent: 0
    + TaxScheme
      ID: VAT
+ TaxTotal
  TaxAmount: 6.08 currencyID=USD
  + TaxSubtotal
    TaxableAmount: 32.00 currencyID=USD
    TaxAmount: 6.08 currencyID=USD
    + TaxCategory
      ID: S
      Percent: 19
      + TaxScheme
        ID: VAT
  + TaxSubtotal
    TaxableAmount: 71.60 currencyID=USD
    TaxAmount: 0.00 currencyID=USD
    + TaxCategory
      ID: Z
      Percent: 0
      + TaxScheme
        ID: VAT
+ LegalMonetaryTotal
  LineExtensionAmount: 129.50 currencyID=USD
  TaxExclusiveAmount: 103.60 currencyID=USD
  TaxInclusiveAmount: 109.68 currencyID=USD
  AllowanceTotalAmount: 25.90 currencyID=USD
  PrepaidAmount: 30.00 currencyID=USD
  PayableAmount: 79.68 currencyID=USD
+ InvoiceLine
  ID: 1
  InvoicedQuantity: 1 unitCode=C62
  LineExtensionAmount: 40.00 currencyID=USD
  + InvoicePeriod
    StartDate: 2024-01-01
    EndDate: 2024-01-31
  + Item
    Name: Platform fee
    + ClassifiedTaxCategory
      ID: S
      Percent: 19
      + TaxScheme
        ID: VAT
  + Price
    PriceAmount: 40.00 currencyID=USD
+ InvoiceLine
  ID: 2
  InvoicedQuantity: 1 unitCode=C62
  LineExtensionAmount: 89.50 currencyID=USD
  + InvoicePeriod
    StartDate: 2024-01-01
    EndDate: 2024-01-31
  + Item
    Description: Quantity: 250
    Name: tokens
    + ClassifiedTaxCategory
      ID: Z
      Percent: 0
      + TaxScheme
        ID: VAT
  + Price
    PriceAmount: 89.50 currencyID=USD
"""


def document(**more: Any) -> dict[str, Any]:
    found = finished(content_hash="abc")
    found["lines"][0]["description"] = "Platform fee"
    return found | more


def listed(element: ET.Element, depth: int = 0) -> list[str]:
    lines = []
    for child in element:
        space, _, name = child.tag.removeprefix("{").partition("}")
        text = f": {child.text}" if len(child) == 0 else ""
        attributes = "".join(f" {key}={value}" for key, value in child.attrib.items())
        lines += ["  " * depth + PREFIXES[space] + name + text + attributes, *listed(child, depth + 1)]
    return lines


def test_an_invoice_has_these_elements_in_this_order() -> None:
    root = ET.fromstring(invoice_xml(document(), SELLER, BUYER))
    assert root.tag == f"{{{UBL}Invoice-2}}Invoice"
    assert listed(root) == INVOICE.splitlines()


def test_the_file_declares_its_encoding_and_the_usual_prefixes() -> None:
    text = invoice_xml(document(), SELLER, BUYER).decode()
    assert text.startswith('<?xml version="1.0" encoding="UTF-8"?>\n<Invoice ')
    assert text.endswith("</Invoice>\n")
    assert "  <cbc:IssueDate>2024-02-02</cbc:IssueDate>\n  <cbc:DueDate>2024-03-03</cbc:DueDate>\n" in text
    assert "<cac:Party>" in text


def credit_note() -> dict[str, Any]:
    found = document(discounts=[], discount_total="0.00", credits=[], credit_total="0.00", taxes=[], tax_total="0.00")
    found["lines"][0]["amount"], found["lines"][1]["amount"] = "-50.00", "10.50"
    return found | dict.fromkeys(("subtotal", "total", "amount_due"), "-39.50")


def test_a_credit_note_turns_every_sign_and_has_no_due_date() -> None:
    root = ET.fromstring(invoice_xml(credit_note(), SELLER, BUYER))
    assert root.tag == f"{{{UBL}CreditNote-2}}CreditNote"
    found = listed(root)
    assert "CreditNoteTypeCode: 381" in found
    assert not [line for line in found if "DueDate" in line or "AllowanceCharge" in line]
    first, second = (place for place, line in enumerate(found) if line == "+ CreditNoteLine")
    elements = ("CreditedQuantity", "LineExtensionAmount", "PriceAmount")
    shown = [line.strip() for line in found[first:] if any(name in line for name in elements)]
    assert shown == [
        "CreditedQuantity: 1 unitCode=C62",
        "LineExtensionAmount: 50.00 currencyID=USD",
        "PriceAmount: 50.00 currencyID=USD",
        "CreditedQuantity: -1 unitCode=C62",
        "LineExtensionAmount: -10.50 currencyID=USD",
        "PriceAmount: 10.50 currencyID=USD",
    ]
    assert second > first
    assert "  PayableAmount: 39.50 currencyID=USD" in found


def test_an_invoice_of_nothing_is_an_invoice() -> None:
    found = credit_note() | dict.fromkeys(("subtotal", "total", "amount_due"), "0.00")
    for line in found["lines"]:
        line["amount"] = "0.00"
    root = ET.fromstring(invoice_xml(found, SELLER, BUYER))
    assert root.tag.endswith("Invoice")
    assert listed(root).count("  InvoicedQuantity: 1 unitCode=C62") == 2


def test_a_discount_without_a_coupon_is_named_discount_and_several_coupons_are_listed() -> None:
    def reasons(**more: Any) -> set[str]:
        root = ET.fromstring(invoice_xml(document(**more), SELLER, BUYER))
        return {line.strip() for line in listed(root) if "Reason" in line}

    assert reasons(discounts=[]) == {"AllowanceChargeReason: discount"}
    two = [{"key": "a", "amount": "20.00"}, {"key": "b", "amount": "5.90"}]
    assert reasons(discounts=two) == {"AllowanceChargeReason: a, b"}


def test_what_xml_cannot_carry_is_shown_as_replaced_and_the_rest_stays() -> None:
    found = document()
    found["lines"][0]["description"] = "tab\there, bell\x07, nul\x00, half\ud800, space end "
    root = ET.fromstring(invoice_xml(found, SELLER, BUYER))
    assert "    Name: tab\there, bell\ufffd, nul\ufffd, half\ufffd, space end " in listed(root)


@pytest.mark.parametrize(
    ("who", "party"), [("seller", (Party("a", "D"), BUYER)), ("buyer", (SELLER, Party("b", "de")))]
)
def test_a_country_is_two_capital_letters_and_the_party_without_is_named(who: str, party: tuple[Party, Party]) -> None:
    with pytest.raises(RefusalError) as caught:
        invoice_xml(document(), *party)
    assert (caught.value.code, caught.value.path) == ("bad_country", f"{who}.country")


@pytest.mark.parametrize("name", ["lines", "total", "taxes", "period", "discount_total"])
def test_a_document_without_one_of_its_parts_is_refused(name: str) -> None:
    found = document()
    del found[name]
    with pytest.raises(RefusalError) as caught:
        invoice_xml(found, SELLER, BUYER)
    assert (caught.value.code, caught.value.path) == ("bad_document", "document")


def test_amounts_have_the_currency_s_decimals_and_no_minus_before_nothing() -> None:
    found = credit_note()
    found["lines"][1]["amount"] = "0.00"
    found |= dict.fromkeys(("subtotal", "total", "amount_due"), "-50.00")
    shown = listed(ET.fromstring(invoice_xml(found, SELLER, BUYER)))
    assert "  LineExtensionAmount: 0.00 currencyID=USD" in shown
    assert not [line for line in shown if "-0" in line.partition("Amount: ")[2]]
    assert Decimal(next(line for line in shown if "PayableAmount" in line).split()[1]) == 50


def test_what_a_credit_note_comes_to_is_explained_by_its_terms_and_not_by_a_due_date() -> None:
    root = ET.fromstring(invoice_xml(credit_note(), SELLER, BUYER))
    found = listed(root)
    assert (
        found[found.index("+ PaymentTerms") + 1]
        == "  Note: This amount is credited to your next invoices. Nothing is to be paid."
    )
    assert "+ PaymentTerms" not in listed(ET.fromstring(invoice_xml(document(), SELLER, BUYER)))


def test_a_seller_without_a_vat_identifier_is_outside_of_vat_and_no_rate_is_stated() -> None:
    found = credit_note() | dict.fromkeys(("subtotal", "total", "amount_due"), "60.50")
    found["lines"][0]["amount"] = "50.00"
    named = Party("Kunde", "FR", tax_id="FR12345678901")
    shown = [line.strip() for line in listed(ET.fromstring(invoice_xml(found, Party("Acme", "DE"), named)))]
    assert shown.count("ID: O") == 3
    assert shown.count("TaxExemptionReason: Not subject to VAT.") == 1
    assert not [line for line in shown if line.startswith(("Percent", "CompanyID"))]


@pytest.mark.parametrize(
    ("change", "seller", "code", "path"),
    [
        ({}, Party("Acme", "DE"), "no_tax_id", "seller.tax_id"),
        ({"currency": "KWD"}, SELLER, "too_many_decimals", "currency"),
        ({"period": {"from": "soon", "to": "later"}}, SELLER, "bad_document", "document"),
    ],
)
def test_what_the_standard_cannot_state_is_refused(change: dict[str, Any], seller: Party, code: str, path: str) -> None:
    with pytest.raises(RefusalError) as caught:
        invoice_xml(document(**change), seller, BUYER)
    assert (caught.value.code, caught.value.path) == (code, path)


def test_a_period_of_one_instant_is_its_day() -> None:
    once = {"from": "2024-01-10T12:00:00Z", "to": "2024-01-10T12:00:00Z"}
    shown = listed(ET.fromstring(invoice_xml(document(period=once), SELLER, BUYER)))
    assert shown[8:11] == ["+ InvoicePeriod", "  StartDate: 2024-01-10", "  EndDate: 2024-01-10"]
