"""An invoice document as EN 16931 XML in UBL 2.1 syntax: Invoice, or CreditNote where the total is below zero.

The business rules of the standard (BR-CO-10 to BR-CO-17) hold by construction: line extension = sum of lines, tax
exclusive = lines - allowances, tax inclusive = that + tax, payable = that - prepaid. Discounts are document-level
allowances, one per tax rate; credits are the prepaid amount. Lines without tax are zero rated (category Z) where the
seller has a VAT identifier, reverse charge (AE) where the recipient owes the VAT, and else outside of VAT (O): every
other category asks for an identifier (BR-S-02, BR-Z-02, BR-AE-02, BR-O-02).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from valueverse.errors import RefusalError
from valueverse.money import minor_units

_UBL = "urn:oasis:names:specification:ubl:schema:xsd"
_CBC = f"{_UBL}:CommonBasicComponents-2"
_CAC = f"{_UBL}:CommonAggregateComponents-2"
CUSTOMIZATION = "urn:cen.eu:en16931:2017"
_PIECE = "C62"
"""UN/ECE Recommendation 20: one."""
_EXEMPT = {"O": (None, "Not subject to VAT"), "AE": ("VATEX-EU-AE", "Reverse charge")}
"""Code and text of why a category has no tax (BR-O-10, BR-AE-10)."""
_TRANSFER, _SEPA_TRANSFER = "30", "58"
"""UNTDID 4461."""
_PLACES = 2
"""Decimals that an amount may have (BR-DEC-01 and following)."""


@dataclass(frozen=True)
class Party:
    """A seller or buyer: ``country`` is ISO 3166-1 alpha-2, ``tax_id`` the VAT identifier with its prefix."""

    name: str
    country: str
    city: str | None = None
    street: str | None = None
    postal_code: str | None = None
    tax_id: str | None = None


@dataclass(frozen=True)
class Settlement:
    """How an invoice is settled: the account to pay to, the buyer's order, and whether the buyer owes the VAT."""

    iban: str | None = None
    bic: str | None = None
    purchase_order: str | None = None
    reverse_charge: bool = False


@dataclass(frozen=True)
class _Rate:
    category: str
    percent: Decimal
    base: Decimal
    amount: Decimal
    allowance: Decimal


def invoice_xml(document: dict[str, Any], seller: Party, buyer: Party, settlement: Settlement | None = None) -> bytes:
    """The document as UBL.

    Raises:
        RefusalError: ``not_finalised`` for a draft (it has no number); ``bad_country``; ``no_tax_id`` for a taxed
            invoice of a seller without one; ``too_many_decimals`` for a currency with more than two; ``bad_document``.
    """
    if document.get("number") is None:
        raise RefusalError("not_finalised", "a draft has no number: only finalised invoices are sent", "number")
    for path, party in (("seller", seller), ("buyer", buyer)):
        if len(party.country) != 2 or not party.country.isalpha() or not party.country.isupper():
            raise RefusalError("bad_country", f"{party.country!r} is not a country code like 'DE'", f"{path}.country")
    try:
        return _Writer(document, seller, buyer, settlement or Settlement()).write()
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise RefusalError("bad_document", f"not an invoice document: {error!r}", "document") from error


class _Writer:
    def __init__(self, document: dict[str, Any], seller: Party, buyer: Party, settlement: Settlement) -> None:
        # An invoice has a line at least (BR-16): an empty one says so.
        lines = document["lines"] or [
            {"description": "nothing to bill", "service_period": document["period"], "amount": "0"}
        ]
        self.document, self.seller, self.buyer = document | {"lines": lines}, seller, buyer
        self.currency: str = document["currency"]
        self.places = minor_units(self.currency)
        if self.places > _PLACES:
            message = f"EN 16931 (BR-DEC) allows amounts of two decimals, {self.currency} has {self.places}"
            raise RefusalError("too_many_decimals", message, "currency")
        if document["taxes"] and not seller.tax_id:
            message = "a seller who charges VAT states its identifier: send billing.tenant.updated with tax_id"
            raise RefusalError("no_tax_id", message, "seller.tax_id")
        self.settlement = settlement
        reverse = settlement.reverse_charge and not document["taxes"] and seller.tax_id and buyer.tax_id
        self.untaxed = "AE" if reverse else "Z" if seller.tax_id else "O"
        self.sign = -1 if Decimal(document["total"]) < 0 else 1
        self.credit = self.sign < 0
        self.rates, self.rate_of_line = self._rates()

    def money(self, amount: Decimal) -> str:
        return format((amount * self.sign).quantize(Decimal(1).scaleb(-self.places)) + 0, "f")

    def _rates(self) -> tuple[list[_Rate], dict[int, tuple[str, Decimal]]]:
        """Tax rates with what discounts take from each; lines without tax are of the category for that."""
        lines = [Decimal(line["amount"]) for line in self.document["lines"]]
        taxed: dict[int, tuple[str, Decimal]] = {}
        for tax in self.document["taxes"]:
            taxed |= dict.fromkeys(tax["lines"], ("S", Decimal(tax["percent"])))
        of_line = {place: taxed.get(place, (self.untaxed, Decimal(0))) for place in range(1, len(lines) + 1)}
        discounted = Decimal(self.document["discount_total"])
        rates = []
        for category, percent in dict.fromkeys(of_line.values()):
            gross = sum(
                (lines[place - 1] for place, rate in of_line.items() if rate == (category, percent)), Decimal(0)
            )
            own = [tax for tax in self.document["taxes"] if category == "S" and Decimal(tax["percent"]) == percent]
            base = sum((Decimal(tax["base"]) for tax in own), Decimal(0)) if own else None
            amount = sum((Decimal(tax["amount"]) for tax in own), Decimal(0))
            rates.append((category, percent, gross, base, amount))
        known = sum((gross - base for _, _, gross, base, _ in rates if base is not None), Decimal(0))
        found = [
            _Rate(category, percent, base if base is not None else gross - (discounted - known), amount,
                  gross - base if base is not None else discounted - known)
            for category, percent, gross, base, amount in rates
        ]  # fmt: skip
        return found, of_line

    def write(self) -> bytes:
        root_name = "CreditNote" if self.credit else "Invoice"
        ET.register_namespace("", f"{_UBL}:{root_name}-2")
        ET.register_namespace("cbc", _CBC)
        ET.register_namespace("cac", _CAC)
        root = ET.Element(f"{{{_UBL}:{root_name}-2}}{root_name}")
        self._header(root)
        self._party(root, "AccountingSupplierParty", self.seller)
        self._party(root, "AccountingCustomerParty", self.buyer)
        self._payment_means(root)
        if self.credit:
            # An amount payable needs a due date, for which a credit note has no field, or terms (BR-CO-25).
            self.basic(self.group(root, "PaymentTerms"), "Note", "credited to the invoices that follow")
        self._allowances(root)
        self._taxes(root)
        self._totals(root)
        for place, line in enumerate(self.document["lines"], start=1):
            self._line(root, place, line)
        ET.indent(root)
        body: bytes = ET.tostring(root, encoding="utf-8")
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"

    def basic(self, parent: ET.Element, name: str, text: str, **attributes: str) -> None:
        ET.SubElement(parent, f"{{{_CBC}}}{name}", attributes).text = _xml_text(text)

    def amount(self, parent: ET.Element, name: str, amount: Decimal) -> None:
        self.basic(parent, name, self.money(amount), currencyID=self.currency)

    @staticmethod
    def group(parent: ET.Element, name: str) -> ET.Element:
        return ET.SubElement(parent, f"{{{_CAC}}}{name}")

    def _header(self, root: ET.Element) -> None:
        document = self.document
        self.basic(root, "CustomizationID", CUSTOMIZATION)
        self.basic(root, "ID", document["number"])
        self.basic(root, "IssueDate", document["issued_on"])
        if not self.credit and document.get("due_on"):
            self.basic(root, "DueDate", document["due_on"])
        self.basic(root, "CreditNoteTypeCode" if self.credit else "InvoiceTypeCode", "381" if self.credit else "380")
        self.basic(root, "Note", f"content hash {document['content_hash']}")
        self.basic(root, "DocumentCurrencyCode", self.currency)
        self.basic(root, "BuyerReference", document["customer"])
        self._period(root, document["period"])
        if self.settlement.purchase_order:
            self.basic(self.group(root, "OrderReference"), "ID", self.settlement.purchase_order)

    def _payment_means(self, root: ET.Element) -> None:
        if self.credit or not self.settlement.iban:
            return
        means = self.group(root, "PaymentMeans")
        self.basic(means, "PaymentMeansCode", _SEPA_TRANSFER if self.currency == "EUR" else _TRANSFER)
        self.basic(means, "PaymentID", self.document["number"])
        account = self.group(means, "PayeeFinancialAccount")
        self.basic(account, "ID", self.settlement.iban)
        if self.settlement.bic:
            self.basic(self.group(account, "FinancialInstitutionBranch"), "ID", self.settlement.bic)

    def _period(self, parent: ET.Element, period: dict[str, str]) -> None:
        """A period ends on its last day (BT-74, BT-135), a document's on the one after that."""
        start, end = (date.fromisoformat(period[name][:10]) for name in ("from", "to"))
        group = self.group(parent, "InvoicePeriod")
        self.basic(group, "StartDate", start.isoformat())
        self.basic(group, "EndDate", max(start, end - timedelta(days=1)).isoformat())

    def _party(self, root: ET.Element, name: str, party: Party) -> None:
        inner = self.group(self.group(root, name), "Party")
        if party is self.seller and not party.tax_id:
            # A seller is identified by something (BR-CO-26).
            self.basic(self.group(inner, "PartyIdentification"), "ID", self.document["tenant"])
        self.basic(self.group(inner, "PartyName"), "Name", party.name)
        address = self.group(inner, "PostalAddress")
        for field, value in (("StreetName", party.street), ("CityName", party.city), ("PostalZone", party.postal_code)):
            if value:
                self.basic(address, field, value)
        self.basic(self.group(address, "Country"), "IdentificationCode", party.country)
        # Outside of VAT no party states an identifier (BR-O-02 to BR-O-04).
        if party.tax_id and self.untaxed != "O":
            scheme = self.group(inner, "PartyTaxScheme")
            self.basic(scheme, "CompanyID", party.tax_id)
            self.basic(self.group(scheme, "TaxScheme"), "ID", "VAT")
        self.basic(self.group(inner, "PartyLegalEntity"), "RegistrationName", party.name)

    def _category(self, parent: ET.Element, name: str, category: str, percent: Decimal) -> None:
        group = self.group(parent, name)
        self.basic(group, "ID", category)
        if category != "O":
            self.basic(group, "Percent", format(percent.normalize(), "f"))
        if category in _EXEMPT and parent.tag.endswith("TaxSubtotal"):
            code, reason = _EXEMPT[category]
            if code:
                self.basic(group, "TaxExemptionReasonCode", code)
            self.basic(group, "TaxExemptionReason", reason)
        self.basic(self.group(group, "TaxScheme"), "ID", "VAT")

    def _allowances(self, root: ET.Element) -> None:
        keys = ", ".join(one["key"] for one in self.document["discounts"])
        for rate in self.rates:
            if rate.allowance:
                group = self.group(root, "AllowanceCharge")
                self.basic(group, "ChargeIndicator", "false")
                self.basic(group, "AllowanceChargeReason", keys or "discount")
                self.amount(group, "Amount", rate.allowance)
                self._category(group, "TaxCategory", rate.category, rate.percent)

    def _taxes(self, root: ET.Element) -> None:
        total = self.group(root, "TaxTotal")
        self.amount(total, "TaxAmount", sum((rate.amount for rate in self.rates), Decimal(0)))
        for rate in self.rates:
            group = self.group(total, "TaxSubtotal")
            self.amount(group, "TaxableAmount", rate.base)
            self.amount(group, "TaxAmount", rate.amount)
            self._category(group, "TaxCategory", rate.category, rate.percent)

    def _totals(self, root: ET.Element) -> None:
        document = self.document
        lines = sum((Decimal(line["amount"]) for line in document["lines"]), Decimal(0))
        allowances = sum((rate.allowance for rate in self.rates), Decimal(0))
        group = self.group(root, "LegalMonetaryTotal")
        self.amount(group, "LineExtensionAmount", lines)
        self.amount(group, "TaxExclusiveAmount", lines - allowances)
        self.amount(group, "TaxInclusiveAmount", Decimal(document["total"]))
        self.amount(group, "AllowanceTotalAmount", allowances)
        self.amount(group, "PrepaidAmount", Decimal(document["credit_total"]))
        self.amount(group, "PayableAmount", Decimal(document["amount_due"]))

    def _line(self, root: ET.Element, place: int, line: dict[str, Any]) -> None:
        name = "CreditNoteLine" if self.credit else "InvoiceLine"
        group = self.group(root, name)
        self.basic(group, "ID", str(place))
        # The price of all of it as one: tiers have no single unit price, and quantity x price must be the amount.
        amount = Decimal(line["amount"]) * self.sign
        quantity = "-1" if amount < 0 else "1"
        self.basic(group, "CreditedQuantity" if self.credit else "InvoicedQuantity", quantity, unitCode=_PIECE)
        self.amount(group, "LineExtensionAmount", Decimal(line["amount"]))
        self._period(group, line["service_period"])
        item = self.group(group, "Item")
        if line.get("quantity") is not None:
            self.basic(item, "Description", f"quantity {line['quantity']}")
        self.basic(item, "Name", line["description"])
        self._category(item, "ClassifiedTaxCategory", *self.rate_of_line[place])
        price = self.group(group, "Price")
        self.basic(price, "PriceAmount", format(abs(amount), "f"), currencyID=self.currency)


def _xml_text(text: str) -> str:
    """Text without the characters that XML cannot carry."""
    return "".join(c if c in "\t\n\r" or (c >= " " and not "\ud800" <= c <= "\udfff") else "\ufffd" for c in str(text))
