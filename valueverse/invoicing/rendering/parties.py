"""Who invoices whom, from what tenants and customers state of themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.invoicing.rendering.pdf import Brand
from valueverse.invoicing.rendering.ubl import Party

if TYPE_CHECKING:
    from collections.abc import Mapping

_LINES = ("street", "postal_code", "city")


@dataclass(frozen=True)
class Parties:
    """Names, countries (ISO 3166-1 alpha-2, or None), tax ids and addresses of both sides.

    An address is {street, postal_code, city}; a tenant's brand may hold ``accent``, a colour like #1f4e79.
    """

    seller: str
    buyer: str
    seller_country: str | None = None
    buyer_country: str | None = None
    seller_tax_id: str | None = None
    buyer_tax_id: str | None = None
    seller_address: Mapping[str, Any] | None = None
    buyer_address: Mapping[str, Any] | None = None
    accent: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any], tenant: str, customer: str) -> Parties:
        """Parties as the database has them: names, countries and tax ids of both, the seller's address and the buyer's
        metadata as JSON text. Who states no name goes by the key."""
        metadata = json.loads(row.get("buyer_metadata") or "{}")
        address = json.loads(row.get("seller_address") or "{}")
        return cls(
            seller=row.get("seller") or tenant,
            buyer=row.get("buyer") or customer,
            seller_country=row.get("seller_country"),
            buyer_country=row.get("buyer_country"),
            seller_tax_id=row.get("seller_tax_id"),
            buyer_tax_id=metadata.get("tax_id"),
            seller_address=address,
            buyer_address=metadata.get("address") if isinstance(metadata.get("address"), dict) else None,
            accent=address.get("accent"),
        )

    def brand(self) -> Brand:
        """What the PDF shows."""
        address = self.buyer_address or {}
        lines = tuple(str(address[name]) for name in _LINES if address.get(name))
        more = (self.buyer_country,) if self.buyer_country else ()
        plain = Brand(self.seller, self.buyer, (*lines, *more))
        return plain if self.accent is None else Brand(self.seller, self.buyer, (*lines, *more), self.accent)

    def for_ubl(self) -> tuple[Party, Party]:
        """Seller and buyer of the XML.

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
        )


def _party(name: str, country: str, address: Mapping[str, Any] | None, tax_id: str | None) -> Party:
    stated = {key: str(value) for key, value in (address or {}).items() if key in _LINES and value}
    return Party(name, country, stated.get("city"), stated.get("street"), stated.get("postal_code"), tax_id)
