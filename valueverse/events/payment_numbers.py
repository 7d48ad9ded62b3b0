"""Numbers of cards and accounts: a payment instrument is stored as a token, so that no event holds its number."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from valueverse.check_digits import luhn_holds
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CARD = re.compile(
    r"(?<![0-9A-Za-z._])(?:[0-9]{13,19}|[0-9]{4}(?P<gap>[ ./-])[0-9]{4}(?P=gap)[0-9]{4}(?P=gap)[0-9]{1,7}"
    r"|[0-9]{4}(?P<space>[ ./-])[0-9]{6}(?P=space)[0-9]{4,5})(?![0-9A-Za-z_]|\.[0-9])"
)
"""Digits by themselves, or in the groups that are printed on cards; not as a part of an id."""
_NETWORKS = (
    r"4(?:\d{12}|\d{15}|\d{18})",  # Visa
    r"(?:5[1-5]|2[2-7])\d{14}",  # Mastercard
    r"3[47]\d{13}",  # American Express
    r"(?:6011|65\d\d|64[4-9]\d)\d{12}",  # Discover
    r"35(?:2[89]|[3-8]\d)\d{12}",  # JCB
    r"3(?:0[0-5]|[68]\d)\d{11}",  # Diners Club
    r"62\d{14,17}",  # UnionPay
)
_ISSUED = re.compile("|".join(_NETWORKS))
_IBAN = re.compile(
    r"(?<![0-9A-Za-z_])[A-Z]{2}[0-9]{2}(?:[A-Z0-9]{11,30}|(?: [A-Z0-9]{4}){2,7}(?: [A-Z0-9]{1,4})?)(?![0-9A-Za-z_])"
)
_OTHER = re.compile(r"[^\x00-\x7f]")


def card_numbers(text: str) -> list[str]:
    """The digits of what looks like a card number in a text: length and first digits of a network, and the check digit
    (Luhn, ISO/IEC 7812)."""
    found = (re.sub("[ ./-]", "", hit[0]) for hit in _CARD.finditer(_plain(text)))
    return [digits for digits in found if _ISSUED.fullmatch(digits) and luhn_holds(digits)]


def ibans(text: str) -> list[str]:
    """The IBANs in a text whose check digits are right, without spaces."""
    found = (hit[0].replace(" ", "") for hit in _IBAN.finditer(_plain(text)))
    return [iban for iban in found if len(iban) <= 34 and iban_check(iban)]


def _plain(text: str) -> str:
    """A text with the digits, spaces and dashes of every script as those of ASCII, and without what is not seen."""
    return text if text.isascii() else _OTHER.sub(lambda found: _ascii(found[0]), text)


@lru_cache(maxsize=1024)
def _ascii(character: str) -> str:
    """What stands for a character that is not of ASCII; full-width letters and digits are those that they show."""
    shown = unicodedata.normalize("NFKC", character)
    kind = unicodedata.category(character)
    if kind == "Nd":
        return str(unicodedata.decimal(character))
    return {"Cf": "", "Pd": "-", "Zs": " "}.get(kind, shown if shown.isascii() else character)


def iban_check(iban: str) -> bool:
    """Whether the check digits are right (ISO 13616): letters are numbers from 10 on, country and check digits come
    last, and the rest of 97 is 1."""
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def refuse_payment_numbers(document: Any, name: str = "data") -> None:
    """Refuse a document in which a text or number is that of a card, or a text holds an IBAN.

    Raises:
        RefusalError: ``payment_instrument`` with the path below ``name``; the message does not repeat the number.
    """
    for path, text in _texts(document, name):
        refuse_payment_number(text, path)


def refuse_payment_number(text: str, path: str) -> None:
    """Refuse a text that a person writes, in which the number of a card or an IBAN stands.

    Raises:
        RefusalError: ``payment_instrument`` with the path; the message does not repeat the number.
    """
    kind = "card number" if card_numbers(text) else "IBAN" if ibans(text) else None
    if kind is not None:
        raise RefusalError(
            "payment_instrument",
            f"here is what looks like a {kind}, and nothing of it is stored: write the token by which your payment "
            "provider names it; an id of your own is not taken for one when it has letters",
            path,
        )


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from _texts(str(name), path)
            yield from _texts(one, f"{path}.{name}")
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from _texts(one, f"{path}[{place}]")
    elif not isinstance(value, bool) and value is not None:
        yield path, str(value)
