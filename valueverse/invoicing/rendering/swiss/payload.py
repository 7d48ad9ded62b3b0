"""What the code of a Swiss QR bill holds: 31 lines of text in a fixed order."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from valueverse.invoicing.rendering.parties import Parties

_ACCOUNTS = ("CH", "LI")
_CURRENCIES = ("CHF", "EUR")
_LARGEST = Decimal("999999999.99")
_QR_INSTITUTIONS = range(30_000, 32_000)
"""Numbers of institutions in QR-IBANs, which ask for a QR reference."""
_QR_DIGITS, _SCOR_CHARACTERS = 26, 21
_WRITABLE = re.compile(r"[\x20-\x7e\xa0-\u017f\u0218-\u021b\u20ac]*\Z")
"""Characters that a QR bill may have."""
_LONGEST = {"name": 70, "street": 70, "postal_code": 16, "city": 35}
_CARRY = (0, 9, 4, 6, 8, 2, 7, 1, 3, 5)
"""Modulo 10, recursive: the next carry is that of carry + digit."""


@dataclass(frozen=True)
class Address:
    """A structured address (type S); the number of the house stands with the street, which the guidelines allow."""

    name: str
    street: str
    postal_code: str
    city: str
    country: str


@dataclass(frozen=True)
class Bill:
    """A QR bill.

    Attributes:
        iban: of the creditor, without spaces.
        creditor: who is paid.
        amount: in major units, with two decimals.
        currency: CHF or EUR.
        debtor: who pays; None: to be written by hand.
        kind: QRR, SCOR or NON.
        reference: of that kind; empty for NON.
        message: number of the invoice.
    """

    iban: str
    creditor: Address
    amount: str
    currency: str
    debtor: Address | None
    kind: str
    reference: str
    message: str


def bill_of(document: Mapping[str, Any], parties: Parties, amount: Decimal) -> Bill | None:
    """The QR bill for this amount; None where the account, the currency or the seller's address has none, or a text has
    characters that it may not have."""
    iban = str(parties.invoicing.get("iban") or "")
    currency, number = document["currency"], str(document["number"])
    if iban[:2] not in _ACCOUNTS or currency not in _CURRENCIES or not 0 < amount <= _LARGEST:
        return None
    creditor = _address(parties.seller, parties.seller_address, parties.seller_country)
    reference = reference_of(iban, number)
    if creditor is None or reference is None or not _WRITABLE.match(number):
        return None
    debtor = _address(parties.buyer, parties.buyer_address, parties.buyer_country)
    return Bill(iban, creditor, f"{amount:.2f}", currency, debtor, *reference, number)


def reference_of(iban: str, number: str) -> tuple[str, str] | None:
    """Kind and reference for an account and an invoice's number; None: the account asks for one, and there is none.

    A QR-IBAN has a QR reference: the digits of the number, filled up with zeros, and a check digit. Other accounts have
    a creditor reference (ISO 11649) of its letters and digits, or none where they are too many.
    """
    if iban[4:9].isdigit() and int(iban[4:9]) in _QR_INSTITUTIONS:
        digits = re.sub(r"[^0-9]", "", number).zfill(_QR_DIGITS)
        return ("QRR", digits + _check_digit(digits)) if len(digits) == _QR_DIGITS and digits.strip("0") else None
    text = re.sub(r"[^0-9A-Z]", "", number.upper())
    if not 0 < len(text) <= _SCOR_CHARACTERS or not number.isascii():
        return "NON", ""
    rest = int("".join(str(int(character, 36)) for character in f"{text}RF00")) % 97
    return "SCOR", f"RF{98 - rest:02d}{text}"


def payload(bill: Bill) -> str:
    """The text of the code."""
    nobody = [""] * 7
    lines = [
        *("SPC", "0200", "1", bill.iban, *_lines(bill.creditor), *nobody),
        *(bill.amount, bill.currency, *(_lines(bill.debtor) if bill.debtor else nobody)),
        *(bill.kind, bill.reference, bill.message, "EPD"),
    ]
    return "\r\n".join(lines)


def _lines(address: Address) -> list[str]:
    return ["S", address.name, address.street, "", address.postal_code, address.city, address.country]


def _address(name: str, stated: Mapping[str, Any] | None, country: str | None) -> Address | None:
    found = {"name": name} | {key: str((stated or {}).get(key) or "") for key in ("street", "postal_code", "city")}
    parts = {key: " ".join(text.split())[: _LONGEST[key]] for key, text in found.items()}
    whole = country is not None and all(parts[key] for key in ("name", "postal_code", "city"))
    if not whole or not all(_WRITABLE.match(text) for text in parts.values()):
        return None
    return Address(**parts, country=str(country))


def _check_digit(digits: str) -> str:
    carry = 0
    for digit in digits:
        carry = _CARRY[(carry + int(digit)) % 10]
    return str((10 - carry) % 10)
