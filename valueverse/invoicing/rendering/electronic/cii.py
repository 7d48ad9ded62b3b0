"""EN 16931 in the syntax of UN/CEFACT CII D22B: the Cross Industry Invoice that Factur-X and ZUGFeRD embed in a PDF."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from valueverse.invoicing.rendering.electronic.terms import GUIDELINE, PIECE
from valueverse.invoicing.rendering.electronic.xml_text import file_of, xml_text

if TYPE_CHECKING:
    from datetime import date

    from valueverse.invoicing.rendering.electronic.terms import Allowance, InvoiceTerms, Line, Party, TaxCategory

_CII = "urn:un:unece:uncefact:data:standard"
_RSM = f"{_CII}:CrossIndustryInvoice:100"
_RAM = f"{_CII}:ReusableAggregateBusinessInformationEntity:100"
_UDT = f"{_CII}:UnqualifiedDataType:100"
_QDT = f"{_CII}:QualifiedDataType:100"
_DAY = "102"
"""UNTDID 2379: YYYYMMDD."""


def cii_of(terms: InvoiceTerms) -> bytes:
    """An invoice in CII."""
    return _Writer(terms).write()


class _Writer:
    def __init__(self, terms: InvoiceTerms) -> None:
        self.terms = terms

    def write(self) -> bytes:
        for prefix, space in (("rsm", _RSM), ("ram", _RAM), ("udt", _UDT), ("qdt", _QDT)):
            ET.register_namespace(prefix, space)
        root = ET.Element(f"{{{_RSM}}}CrossIndustryInvoice")
        context = ET.SubElement(root, f"{{{_RSM}}}ExchangedDocumentContext")
        self.text(self.group(context, "GuidelineSpecifiedDocumentContextParameter"), "ID", GUIDELINE)
        document = ET.SubElement(root, f"{{{_RSM}}}ExchangedDocument")
        self.text(document, "ID", self.terms.number)
        self.text(document, "TypeCode", self.terms.type_code)
        self._day(document, "IssueDateTime", self.terms.issued_on)
        self.text(self.group(document, "IncludedNote"), "Content", self.terms.note)
        transaction = ET.SubElement(root, f"{{{_RSM}}}SupplyChainTradeTransaction")
        for line in self.terms.lines:
            self._line(transaction, line)
        self._agreement(transaction)
        self.group(transaction, "ApplicableHeaderTradeDelivery")
        self._settlement(transaction)
        return file_of(root)

    @staticmethod
    def group(parent: ET.Element, name: str) -> ET.Element:
        return ET.SubElement(parent, f"{{{_RAM}}}{name}")

    @staticmethod
    def text(parent: ET.Element, name: str, text: str | None, **attributes: str) -> None:
        """An element, if there is a text for it."""
        if text:
            ET.SubElement(parent, f"{{{_RAM}}}{name}", attributes).text = xml_text(text)

    def _day(self, parent: ET.Element, name: str, day: str) -> None:
        group = self.group(parent, name)
        ET.SubElement(group, f"{{{_UDT}}}DateTimeString", format=_DAY).text = day.replace("-", "")

    def _period(self, parent: ET.Element, days: tuple[date, date]) -> None:
        group = self.group(parent, "BillingSpecifiedPeriod")
        for name, day in zip(("StartDateTime", "EndDateTime"), days, strict=True):
            self._day(group, name, day.isoformat())

    def _category(self, group: ET.Element, category: TaxCategory) -> None:
        self.text(group, "TypeCode", "VAT")
        self.text(group, "CategoryCode", category.code)
        self.text(group, "RateApplicablePercent", category.percent)

    def _line(self, transaction: ET.Element, line: Line) -> None:
        group = self.group(transaction, "IncludedSupplyChainTradeLineItem")
        self.text(self.group(group, "AssociatedDocumentLineDocument"), "LineID", line.number)
        product = self.group(group, "SpecifiedTradeProduct")
        self.text(product, "Name", line.name)
        self.text(product, "Description", line.description)
        agreement = self.group(group, "SpecifiedLineTradeAgreement")
        self.text(self.group(agreement, "NetPriceProductTradePrice"), "ChargeAmount", line.price)
        delivery = self.group(group, "SpecifiedLineTradeDelivery")
        self.text(delivery, "BilledQuantity", line.quantity, unitCode=PIECE)
        settlement = self.group(group, "SpecifiedLineTradeSettlement")
        self._category(self.group(settlement, "ApplicableTradeTax"), line.category)
        self._period(settlement, line.days)
        total = self.group(settlement, "SpecifiedTradeSettlementLineMonetarySummation")
        self.text(total, "LineTotalAmount", line.net)

    def _agreement(self, transaction: ET.Element) -> None:
        agreement = self.group(transaction, "ApplicableHeaderTradeAgreement")
        self.text(agreement, "BuyerReference", self.terms.buyer_reference)
        self._party(agreement, "SellerTradeParty", self.terms.seller)
        self._party(agreement, "BuyerTradeParty", self.terms.buyer)
        if self.terms.purchase_order:
            order = self.group(agreement, "BuyerOrderReferencedDocument")
            self.text(order, "IssuerAssignedID", self.terms.purchase_order)

    def _party(self, agreement: ET.Element, name: str, party: Party) -> None:
        group = self.group(agreement, name)
        self.text(group, "ID", party.identifier)
        self.text(group, "Name", party.name)
        address = self.group(group, "PostalTradeAddress")
        self.text(address, "PostcodeCode", party.postal_code)
        self.text(address, "LineOne", party.street)
        self.text(address, "CityName", party.city)
        self.text(address, "CountryID", party.country)
        if party.tax_id:
            self.text(self.group(group, "SpecifiedTaxRegistration"), "ID", party.tax_id, schemeID="VA")

    def _settlement(self, transaction: ET.Element) -> None:
        terms = self.terms
        settlement = self.group(transaction, "ApplicableHeaderTradeSettlement")
        if terms.payment:
            self.text(settlement, "PaymentReference", terms.payment.reference)
        self.text(settlement, "InvoiceCurrencyCode", terms.currency)
        if terms.payment:
            means = self.group(settlement, "SpecifiedTradeSettlementPaymentMeans")
            self.text(means, "TypeCode", terms.payment.means)
            self.text(self.group(means, "PayeePartyCreditorFinancialAccount"), "IBANID", terms.payment.iban)
            if terms.payment.bic:
                bank = self.group(means, "PayeeSpecifiedCreditorFinancialInstitution")
                self.text(bank, "BICID", terms.payment.bic)
        for tax in terms.taxes:
            group = self.group(settlement, "ApplicableTradeTax")
            self.text(group, "CalculatedAmount", tax.amount)
            self.text(group, "TypeCode", "VAT")
            self.text(group, "ExemptionReason", tax.exemption)
            self.text(group, "BasisAmount", tax.base)
            self.text(group, "CategoryCode", tax.category.code)
            self.text(group, "ExemptionReasonCode", tax.exemption_code)
            self.text(group, "RateApplicablePercent", tax.category.percent)
        self._period(settlement, terms.days)
        for allowance in terms.allowances:
            self._allowance(settlement, allowance)
        if terms.payment_terms or terms.due_on:
            group = self.group(settlement, "SpecifiedTradePaymentTerms")
            self.text(group, "Description", terms.payment_terms)
            if terms.due_on:
                self._day(group, "DueDateDateTime", terms.due_on)
        self._totals(settlement)
        for number, issued_on in terms.preceding:
            reference = self.group(settlement, "InvoiceReferencedDocument")
            self.text(reference, "IssuerAssignedID", number)
            issued = self.group(reference, "FormattedIssueDateTime")
            ET.SubElement(issued, f"{{{_QDT}}}DateTimeString", format=_DAY).text = issued_on.replace("-", "")

    def _allowance(self, settlement: ET.Element, allowance: Allowance) -> None:
        group = self.group(settlement, "SpecifiedTradeAllowanceCharge")
        ET.SubElement(self.group(group, "ChargeIndicator"), f"{{{_UDT}}}Indicator").text = "false"
        self.text(group, "ActualAmount", allowance.amount)
        self.text(group, "Reason", allowance.reason)
        self._category(self.group(group, "CategoryTradeTax"), allowance.category)

    def _totals(self, settlement: ET.Element) -> None:
        terms = self.terms
        group = self.group(settlement, "SpecifiedTradeSettlementHeaderMonetarySummation")
        self.text(group, "LineTotalAmount", terms.line_total)
        self.text(group, "AllowanceTotalAmount", terms.allowance_total)
        self.text(group, "TaxBasisTotalAmount", terms.tax_basis)
        self.text(group, "TaxTotalAmount", terms.tax_total, currencyID=terms.currency)
        self.text(group, "GrandTotalAmount", terms.total)
        self.text(group, "TotalPrepaidAmount", terms.prepaid)
        self.text(group, "DuePayableAmount", terms.payable)
