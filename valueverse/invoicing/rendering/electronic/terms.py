"""An invoice document in the business terms of EN 16931 (BT-1 and following), for whichever syntax it is written in.

The business rules of the standard (BR-CO-10 to BR-CO-17) hold by construction: sum of lines, less allowances, plus tax,
less what is prepaid is what is payable. Discounts are document-level allowances, one per tax rate; credits are the
prepaid amount. A document whose total is below zero is a credit note: every sign is turned. Lines without tax are zero
rated (category Z) where the seller has a VAT identifier, reverse charge (AE) where the recipient owes the VAT, and else
outside of VAT (O): every other category asks for an identifier (BR-S-02, BR-Z-02, BR-AE-02, BR-O-02).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.invoicing.rendering.billed_days import days_of_period
from valueverse.invoicing.rendering.display_names import DisplayNames
from valueverse.invoicing.rendering.line_texts import LineTexts
from valueverse.invoicing.rendering.locale_formats import LocaleFormats
from valueverse.money import minor_units

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

_EXEMPT = {"O": (None, "outside_of_vat"), "AE": ("VATEX-EU-AE", "reverse_charge")}
"""Code and message of why a category has no tax (BR-O-10, BR-AE-10)."""
_TRANSFER, _SEPA_TRANSFER = "30", "58"
"""UNTDID 4461."""
_PLACES = 2
"""Decimals that an amount may have (BR-DEC-01 and following)."""
_INVOICE, _CREDIT_NOTE = "380", "381"
"""UNTDID 1001."""
PIECE = "C62"
"""UN/ECE Recommendation 20: one."""
GUIDELINE = "urn:cen.eu:en16931:2017"
"""BT-24: the document keeps to EN 16931 without extensions."""


@dataclass(frozen=True)
class Party:
    """A seller or buyer: ``country`` is ISO 3166-1 alpha-2, ``tax_id`` the VAT identifier with its prefix."""

    name: str
    country: str
    city: str | None = None
    street: str | None = None
    postal_code: str | None = None
    tax_id: str | None = None
    identifier: str | None = None


@dataclass(frozen=True)
class Settlement:
    """How an invoice is settled: the account to pay to, the buyer's order, whether the buyer owes the VAT, the time
    zones that its days may be of (the likeliest first), number and day of the invoices that it corrects, and the locale
    of its texts."""

    iban: str | None = None
    bic: str | None = None
    purchase_order: str | None = None
    reverse_charge: bool = False
    zones: tuple[str, ...] = ()
    corrects: tuple[tuple[str, str], ...] = ()
    locale: str = "en"


@dataclass(frozen=True)
class TaxCategory:
    """Code of UNTDID 5305 and per cent; outside of VAT no rate is stated (BR-O-05)."""

    code: str
    percent: str | None


@dataclass(frozen=True)
class TaxGroup:
    """BG-23: what is taxed alike, and why it is not taxed if it is not."""

    category: TaxCategory
    base: str
    amount: str
    exemption_code: str | None
    exemption: str | None


@dataclass(frozen=True)
class Allowance:
    """BG-20: what discounts take from one tax rate."""

    category: TaxCategory
    amount: str
    reason: str


@dataclass(frozen=True)
class Payment:
    """BG-16: a transfer, what it states, and the account that it goes to."""

    means: str
    reference: str
    iban: str
    bic: str | None


@dataclass(frozen=True)
class Line:
    """BG-25: the whole line is one piece, since tiers have no single unit price and quantity x price is the amount."""

    number: str
    name: str
    description: str | None
    quantity: str
    price: str
    net: str
    days: tuple[date, date]
    category: TaxCategory


@dataclass(frozen=True)
class InvoiceTerms:
    """Amounts are text with the currency's decimals, days are inclusive at both ends.

    ``preceding`` is BG-3: number and day of invoices that this one corrects.
    """

    number: str
    issued_on: str
    due_on: str | None
    type_code: str
    currency: str
    note: str
    buyer_reference: str
    purchase_order: str | None
    preceding: tuple[tuple[str, str], ...]
    payment_terms: str | None
    days: tuple[date, date]
    seller: Party
    buyer: Party
    payment: Payment | None
    allowances: tuple[Allowance, ...]
    taxes: tuple[TaxGroup, ...]
    lines: tuple[Line, ...]
    line_total: str
    allowance_total: str
    tax_basis: str
    tax_total: str
    total: str
    prepaid: str
    payable: str

    @property
    def credit(self) -> bool:
        """Whether it is a credit note."""
        return self.type_code == _CREDIT_NOTE


def invoice_terms(
    document: Mapping[str, Any],
    seller: Party,
    buyer: Party,
    settlement: Settlement | None = None,
    catalog: Mapping[str, Any] | None = None,
) -> InvoiceTerms:
    """The document in terms of the standard; ``catalog``: the one that it was billed by, for names.

    Raises:
        RefusalError: ``not_finalised`` for a draft (it has no number); ``voided_invoice``; ``bad_country``;
            ``no_tax_id`` for a taxed invoice of a seller without one; ``too_many_decimals`` for a currency with more
            than two; ``bad_document``.
    """
    if document.get("number") is None:
        raise RefusalError("not_finalised", "a draft has no number: only finalised invoices are sent", "number")
    if document.get("status") == "voided":
        message = "this invoice is void, and a system that reads it would pay it: its PDF says that it is void"
        raise RefusalError("voided_invoice", message, "number")
    for path, party in (("seller", seller), ("buyer", buyer)):
        if len(party.country) != 2 or not party.country.isalpha() or not party.country.isupper():
            raise RefusalError("bad_country", f"{party.country!r} is not a country code like 'DE'", f"{path}.country")
    try:
        return _Mapping(document, seller, buyer, settlement or Settlement(), catalog).terms()
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise RefusalError("bad_document", f"not an invoice document: {error!r}", "document") from error


@dataclass(frozen=True)
class _Rate:
    category: str
    percent: Decimal
    base: Decimal
    amount: Decimal
    allowance: Decimal


class _Mapping:
    def __init__(
        self,
        document: Mapping[str, Any],
        seller: Party,
        buyer: Party,
        settlement: Settlement,
        catalog: Mapping[str, Any] | None,
    ) -> None:
        self.formats = LocaleFormats(settlement.locale, document["currency"], settlement.zones)
        self.names = DisplayNames(catalog, self.formats.language)
        self.texts = LineTexts(self.formats, self.names)
        # An invoice has a line at least (BR-16): an empty one says so.
        lines = document["lines"] or [
            {"key": "", "kind": "none", "description": self.formats.text("no_lines"), "dimensions": None, "amount": "0"}
            | {"service_period": document["period"]}
        ]
        self.document, self.seller, self.buyer = {**document, "lines": lines}, seller, buyer
        self.places = minor_units(document["currency"])
        if self.places > _PLACES:
            currency = document["currency"]
            message = f"EN 16931 (BR-DEC) allows amounts of two decimals, {currency} has {self.places}"
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

    def terms(self) -> InvoiceTerms:
        document, settlement = self.document, self.settlement
        lines = sum((Decimal(line["amount"]) for line in document["lines"]), Decimal(0))
        allowances = sum((rate.allowance for rate in self.rates), Decimal(0))
        return InvoiceTerms(
            number=document["number"],
            issued_on=document["issued_on"],
            due_on=None if self.credit else document.get("due_on") or None,
            type_code=_CREDIT_NOTE if self.credit else _INVOICE,
            currency=document["currency"],
            note=f"content hash {document['content_hash']}",
            buyer_reference=document["customer"],
            purchase_order=settlement.purchase_order,
            preceding=settlement.corrects,
            # An amount payable needs a due date, which a credit note does not have, or terms (BR-CO-25).
            payment_terms=self.formats.text("credit_terms") if self.credit else None,
            days=days_of_period(document["period"], settlement.zones),
            seller=self._party(self.seller, document["tenant"]),
            buyer=self._party(self.buyer, None),
            payment=self._payment(),
            allowances=self._allowances(),
            taxes=tuple(
                TaxGroup(
                    _category(rate.category, rate.percent),
                    self._money(rate.base),
                    self._money(rate.amount),
                    *self._exemption(rate.category),
                )
                for rate in self.rates
            ),
            lines=tuple(self._line(place, line) for place, line in enumerate(document["lines"], start=1)),
            line_total=self._money(lines),
            allowance_total=self._money(allowances),
            tax_basis=self._money(lines - allowances),
            tax_total=self._money(sum((rate.amount for rate in self.rates), Decimal(0))),
            total=self._money(Decimal(document["total"])),
            prepaid=self._money(Decimal(document["credit_total"])),
            payable=self._money(Decimal(document["amount_due"])),
        )

    def _money(self, amount: Decimal) -> str:
        return format((amount * self.sign).quantize(Decimal(1).scaleb(-self.places)) + 0, "f")

    def _exemption(self, category: str) -> tuple[str | None, str | None]:
        code, message = _EXEMPT.get(category, (None, None))
        return code, self.formats.text(message) if message else None

    def _party(self, party: Party, key: str | None) -> Party:
        # Outside of VAT no party states an identifier (BR-O-02 to BR-O-04); a seller is identified by something
        # (BR-CO-26).
        tax_id = None if self.untaxed == "O" else party.tax_id
        identifier = None if party.tax_id else key
        return Party(
            party.name, party.country, party.city, party.street, party.postal_code, tax_id, identifier=identifier
        )

    def _payment(self) -> Payment | None:
        settlement = self.settlement
        if self.credit or not settlement.iban:
            return None
        means = _SEPA_TRANSFER if self.document["currency"] == "EUR" else _TRANSFER
        return Payment(means, self.document["number"], settlement.iban, settlement.bic)

    def _allowances(self) -> tuple[Allowance, ...]:
        reason = ", ".join(self.names.of("coupons", one["key"]) for one in self.document["discounts"]) or "discount"
        return tuple(
            Allowance(_category(rate.category, rate.percent), self._money(rate.allowance), reason)
            for rate in self.rates
            if rate.allowance
        )

    def _line(self, place: int, line: Mapping[str, Any]) -> Line:
        amount = Decimal(line["amount"]) * self.sign
        return Line(
            number=str(place),
            name=self.texts.name(line),
            description=self.texts.about(line),
            quantity="-1" if amount < 0 else "1",
            price=format(abs(amount), "f"),
            net=self._money(Decimal(line["amount"])),
            days=days_of_period(line["service_period"], self.settlement.zones),
            category=_category(*self.rate_of_line[place]),
        )

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


def _category(code: str, percent: Decimal) -> TaxCategory:
    return TaxCategory(code, None if code == "O" else format(percent.normalize(), "f"))
