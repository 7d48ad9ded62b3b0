"""Who invoices whom, from what tenants and customers state of themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.invoicing.rendering.electronic.terms import Party, Settlement
from valueverse.invoicing.rendering.locale_formats import known_locale

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valueverse.invoicing.rendering.history import InvoiceHistory

_LINES = ("street", "postal_code", "city")
_EU = frozenset([
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
])  # fmt: skip
"""Member states: between two of them the recipient of a service is liable for VAT (Directive 2006/112/EC, 196)."""


@dataclass(frozen=True)
class Parties:
    """Names, countries (ISO 3166-1 alpha-2, or None), tax ids and addresses of both sides.

    An address is {street, postal_code, city}.

    Attributes:
        invoicing: what the tenant's events state in ``invoicing``: iban, bic, bank, payment_link, email, logo, accent,
            locale, note.
        zones: IANA time zones that the days of an invoice may be of, the likeliest first.
        purchase_order: the customer's.
        locale: of texts, numbers and dates: the customer's, else the tenant's, else English.
    """

    seller: str
    buyer: str
    seller_country: str | None = None
    buyer_country: str | None = None
    seller_tax_id: str | None = None
    buyer_tax_id: str | None = None
    seller_address: Mapping[str, Any] | None = None
    buyer_address: Mapping[str, Any] | None = None
    invoicing: Mapping[str, Any] = field(default_factory=dict)
    zones: tuple[str, ...] = ()
    purchase_order: str | None = None
    locale: str = "en"

    @classmethod
    def of(cls, row: Mapping[str, Any], tenant: str, customer: str) -> Parties:
        """Parties as the database has them: names, countries, tax ids and time zones of both, the seller's address and
        invoicing and the buyer's metadata as JSON text. Who states no name goes by the key."""
        metadata = json.loads(row.get("buyer_metadata") or "{}")
        address = json.loads(row.get("seller_address") or "{}")
        stated = json.loads(row.get("seller_invoicing") or "{}")
        accent = {"accent": address["accent"]} if address.get("accent") else {}
        # An event may write an account in groups of four, and in small letters.
        iban = {"iban": stated["iban"].replace(" ", "").upper()} if stated.get("iban") else {}
        zones = (row.get("buyer_timezone"), row.get("seller_timezone"))
        order = metadata.get("purchase_order")
        return cls(
            seller=row.get("seller") or tenant,
            buyer=row.get("buyer") or customer,
            seller_country=row.get("seller_country"),
            buyer_country=row.get("buyer_country"),
            seller_tax_id=row.get("seller_tax_id"),
            buyer_tax_id=metadata.get("tax_id"),
            seller_address=address,
            buyer_address=metadata.get("address") if isinstance(metadata.get("address"), dict) else None,
            invoicing=accent | stated | iban,
            zones=tuple(zone for zone in zones if zone),
            purchase_order=None if order is None else str(order),
            locale=known_locale(metadata.get("locale")) or known_locale(stated.get("locale")) or "en",
        )

    def recipient_owes_vat(self) -> bool:
        """Whether both are businesses in different member states of the EU, so that untaxed services are taxed at the
        recipient's (reverse charge)."""
        countries = {self.seller_country, self.buyer_country}
        return bool(len(countries) == 2 and countries <= _EU and self.seller_tax_id and self.buyer_tax_id)

    def for_xml(self, history: InvoiceHistory | None = None) -> tuple[Party, Party, Settlement]:
        """Seller and buyer of an electronic invoice, and how they settle it.

        ``history``: names the invoices that this one corrects.

        Raises:
            RefusalError: ``no_country``: EN 16931 (BR-9, BR-11) asks for the country of both.
        """
        for who, country in (("tenant", self.seller_country), ("customer", self.buyer_country)):
            if not country:
                raise RefusalError(
                    "no_country", f"the {who} has no country: send billing.{who}.updated with one such as 'DE'", who
                )
        return (
            _party(self.seller, str(self.seller_country), self.seller_address, self.seller_tax_id),
            _party(self.buyer, str(self.buyer_country), self.buyer_address, self.buyer_tax_id),
            Settlement(
                self.invoicing.get("iban"),
                self.invoicing.get("bic"),
                self.purchase_order,
                self.recipient_owes_vat(),
                self.zones,
                tuple((one.number, one.issued_on) for one in history.corrects) if history else (),
                self.locale,
            ),
        )


def _party(name: str, country: str, address: Mapping[str, Any] | None, tax_id: str | None) -> Party:
    stated = {key: str(value) for key, value in (address or {}).items() if key in _LINES and value}
    return Party(name, country, stated.get("city"), stated.get("street"), stated.get("postal_code"), tax_id)
