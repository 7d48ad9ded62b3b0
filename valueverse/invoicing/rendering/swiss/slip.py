"""The payment part and receipt as they are printed: headings in the four languages of the style guide that we have."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from valueverse.invoicing.rendering.swiss.payload import payload

if TYPE_CHECKING:
    from valueverse.invoicing.rendering.swiss.payload import Address, Bill

_KEYS = (
    "payment_part", "account", "reference", "message", "currency", "amount", "receipt", "acceptance", "separate",
    "payable_by", "payable_by_blank",
)  # fmt: skip
_TEXTS = {
    "en": (
        "Payment part", "Account / Payable to", "Reference", "Additional information", "Currency", "Amount", "Receipt",
        "Acceptance point", "Separate before paying in", "Payable by", "Payable by (name/address)",
    ),
    "de": (
        "Zahlteil", "Konto / Zahlbar an", "Referenz", "Zusätzliche Informationen", "Währung", "Betrag",
        "Empfangsschein", "Annahmestelle", "Vor der Einzahlung abzutrennen", "Zahlbar durch",
        "Zahlbar durch (Name/Adresse)",
    ),
    "fr": (
        "Section paiement", "Compte / Payable à", "Référence", "Informations supplémentaires", "Monnaie", "Montant",
        "Récépissé", "Point de dépôt", "A détacher avant le versement", "Payable par", "Payable par (nom/adresse)",
    ),
}  # fmt: skip
"""As the style guide words them; a slip is in German, French, Italian or English, whatever the invoice is in."""


def slip_shown(bill: Bill, language: str) -> dict[str, Any]:
    """texts, account and debtor (lines), reference, message, currency, amount and code (SVG) of a slip."""
    import segno  # only invoices with a code need it

    code = segno.make(payload(bill), error="m", boost_error=False, micro=False, encoding="utf-8")
    return {
        "texts": dict(zip(_KEYS, _TEXTS.get(language, _TEXTS["en"]), strict=True)),
        "account": [_grouped(bill.iban), *_lines(bill.creditor)],
        "debtor": _lines(bill.debtor) if bill.debtor else None,
        "reference": _shown_reference(bill),
        "message": bill.message,
        "currency": bill.currency,
        "amount": re.sub(r"(?<=\d)(?=(\d{3})+\.)", " ", bill.amount),
        "code": str(code.svg_inline(border=0)),
    }


def _lines(address: Address) -> list[str]:
    town = f"{address.postal_code} {address.city}"
    lines = [address.name, address.street, town if address.country in {"CH", "LI"} else f"{address.country}-{town}"]
    return [line for line in lines if line]


def _shown_reference(bill: Bill) -> str:
    """A QR reference is printed in two digits and groups of five, a creditor reference in groups of four."""
    if bill.kind != "QRR":
        return _grouped(bill.reference)
    rest = bill.reference[2:]
    return " ".join([bill.reference[:2], *(rest[start : start + 5] for start in range(0, len(rest), 5))])


def _grouped(text: str) -> str:
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))
