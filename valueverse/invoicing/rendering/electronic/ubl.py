"""EN 16931 in UBL 2.1 syntax: Invoice, or CreditNote."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from valueverse.invoicing.rendering.electronic.terms import GUIDELINE, PIECE
from valueverse.invoicing.rendering.electronic.xml_text import file_of, xml_text

if TYPE_CHECKING:
    from datetime import date

    from valueverse.invoicing.rendering.electronic.terms import InvoiceTerms, Line, Party, TaxCategory

_UBL = "urn:oasis:names:specification:ubl:schema:xsd"
_CBC = f"{_UBL}:CommonBasicComponents-2"
_CAC = f"{_UBL}:CommonAggregateComponents-2"


def ubl_of(terms: InvoiceTerms) -> bytes:
    """An invoice in UBL."""
    return _Writer(terms).write()


class _Writer:
    def __init__(self, terms: InvoiceTerms) -> None:
        self.terms = terms

    def write(self) -> bytes:
        name = "CreditNote" if self.terms.credit else "Invoice"
        ET.register_namespace("", f"{_UBL}:{name}-2")
        ET.register_namespace("cbc", _CBC)
        ET.register_namespace("cac", _CAC)
        root = ET.Element(f"{{{_UBL}:{name}-2}}{name}")
        self._header(root)
        self._party(root, "AccountingSupplierParty", self.terms.seller)
        self._party(root, "AccountingCustomerParty", self.terms.buyer)
        self._payment(root)
        self._allowances(root)
        self._taxes(root)
        self._totals(root)
        for line in self.terms.lines:
            self._line(root, line)
        return file_of(root)

    @staticmethod
    def basic(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
        ET.SubElement(parent, f"{{{_CBC}}}{name}", attributes).text = xml_text(text)

    def amount(self, parent: ET.Element, name: str, amount: str) -> None:
        self.basic(parent, name, amount, currencyID=self.terms.currency)

    @staticmethod
    def group(parent: ET.Element, name: str) -> ET.Element:
        return ET.SubElement(parent, f"{{{_CAC}}}{name}")

    def _header(self, root: ET.Element) -> None:
        terms = self.terms
        self.basic(root, "CustomizationID", GUIDELINE)
        self.basic(root, "ID", terms.number)
        self.basic(root, "IssueDate", terms.issued_on)
        if terms.due_on:
            self.basic(root, "DueDate", terms.due_on)
        self.basic(root, "CreditNoteTypeCode" if terms.credit else "InvoiceTypeCode", terms.type_code)
        self.basic(root, "Note", terms.note)
        self.basic(root, "DocumentCurrencyCode", terms.currency)
        self.basic(root, "BuyerReference", terms.buyer_reference)
        self._period(root, terms.days)
        if terms.purchase_order:
            self.basic(self.group(root, "OrderReference"), "ID", terms.purchase_order)
        for number, issued_on in terms.preceding:
            reference = self.group(self.group(root, "BillingReference"), "InvoiceDocumentReference")
            self.basic(reference, "ID", number)
            self.basic(reference, "IssueDate", issued_on)

    def _payment(self, root: ET.Element) -> None:
        payment = self.terms.payment
        if payment is not None:
            means = self.group(root, "PaymentMeans")
            self.basic(means, "PaymentMeansCode", payment.means)
            self.basic(means, "PaymentID", payment.reference)
            account = self.group(means, "PayeeFinancialAccount")
            self.basic(account, "ID", payment.iban)
            if payment.bic:
                self.basic(self.group(account, "FinancialInstitutionBranch"), "ID", payment.bic)
        if self.terms.payment_terms:
            self.basic(self.group(root, "PaymentTerms"), "Note", self.terms.payment_terms)

    def _period(self, parent: ET.Element, days: tuple[date, date]) -> None:
        group = self.group(parent, "InvoicePeriod")
        for name, day in zip(("StartDate", "EndDate"), days, strict=True):
            self.basic(group, name, day.isoformat())

    def _party(self, root: ET.Element, name: str, party: Party) -> None:
        inner = self.group(self.group(root, name), "Party")
        if party.identifier:
            self.basic(self.group(inner, "PartyIdentification"), "ID", party.identifier)
        self.basic(self.group(inner, "PartyName"), "Name", party.name)
        address = self.group(inner, "PostalAddress")
        for field, value in (("StreetName", party.street), ("CityName", party.city), ("PostalZone", party.postal_code)):
            if value:
                self.basic(address, field, value)
        self.basic(self.group(address, "Country"), "IdentificationCode", party.country)
        if party.tax_id:
            scheme = self.group(inner, "PartyTaxScheme")
            self.basic(scheme, "CompanyID", party.tax_id)
            self.basic(self.group(scheme, "TaxScheme"), "ID", "VAT")
        self.basic(self.group(inner, "PartyLegalEntity"), "RegistrationName", party.name)

    def _category(self, parent: ET.Element, name: str, category: TaxCategory) -> ET.Element:
        group = self.group(parent, name)
        self.basic(group, "ID", category.code)
        if category.percent is not None:
            self.basic(group, "Percent", category.percent)
        return group

    def _vat(self, group: ET.Element) -> None:
        self.basic(self.group(group, "TaxScheme"), "ID", "VAT")

    def _allowances(self, root: ET.Element) -> None:
        for allowance in self.terms.allowances:
            group = self.group(root, "AllowanceCharge")
            self.basic(group, "ChargeIndicator", "false")
            self.basic(group, "AllowanceChargeReason", allowance.reason)
            self.amount(group, "Amount", allowance.amount)
            self._vat(self._category(group, "TaxCategory", allowance.category))

    def _taxes(self, root: ET.Element) -> None:
        total = self.group(root, "TaxTotal")
        self.amount(total, "TaxAmount", self.terms.tax_total)
        for tax in self.terms.taxes:
            group = self.group(total, "TaxSubtotal")
            self.amount(group, "TaxableAmount", tax.base)
            self.amount(group, "TaxAmount", tax.amount)
            category = self._category(group, "TaxCategory", tax.category)
            if tax.exemption_code:
                self.basic(category, "TaxExemptionReasonCode", tax.exemption_code)
            if tax.exemption:
                self.basic(category, "TaxExemptionReason", tax.exemption)
            self._vat(category)

    def _totals(self, root: ET.Element) -> None:
        terms = self.terms
        group = self.group(root, "LegalMonetaryTotal")
        self.amount(group, "LineExtensionAmount", terms.line_total)
        self.amount(group, "TaxExclusiveAmount", terms.tax_basis)
        self.amount(group, "TaxInclusiveAmount", terms.total)
        self.amount(group, "AllowanceTotalAmount", terms.allowance_total)
        self.amount(group, "PrepaidAmount", terms.prepaid)
        self.amount(group, "PayableAmount", terms.payable)

    def _line(self, root: ET.Element, line: Line) -> None:
        credit = self.terms.credit
        group = self.group(root, "CreditNoteLine" if credit else "InvoiceLine")
        self.basic(group, "ID", line.number)
        self.basic(group, "CreditedQuantity" if credit else "InvoicedQuantity", line.quantity, unitCode=PIECE)
        self.amount(group, "LineExtensionAmount", line.net)
        self._period(group, line.days)
        item = self.group(group, "Item")
        if line.description is not None:
            self.basic(item, "Description", line.description)
        self.basic(item, "Name", line.name)
        self._vat(self._category(item, "ClassifiedTaxCategory", line.category))
        self.amount(self.group(group, "Price"), "PriceAmount", line.price)
