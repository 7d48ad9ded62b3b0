"""What a tenant states for its invoices: where to pay, until when, and how they look."""

from __future__ import annotations

import base64
import binascii
import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema

from valueverse.documents import text_schema, wrong
from valueverse.events.field_types import LONGEST_DAYS, Text, shown_whole
from valueverse.events.payment_numbers import iban_check

_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}\Z")
_BIC = re.compile(r"[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?\Z")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\Z")
_LOCALE = re.compile(r"(en|de|fr|es)([-_][A-Z]{2})?\Z")
_LINK = re.compile(r"https://[^\s\x00-\x1f<>\"]{3,2000}\Z")
_LOGO = "data:image/png;base64,"
_PNG = b"\x89PNG\r\n\x1a\n"
_LARGEST_LOGO = 200_000
"""Characters of its data URL."""
_MOST_PIXELS = 2_000
"""Of either side of a logo: a small file can unpack into a picture of any size."""


def _iban(value: Any) -> str:
    text = value.replace(" ", "").upper() if isinstance(value, str) else ""
    if not _IBAN.match(text):
        raise wrong(f"{str(value)[:40]!r} is not an IBAN like 'DE89 3704 0044 0532 0130 00'")
    if not iban_check(text):
        raise wrong(f"the check digits of the IBAN {text[:40]} are wrong: a digit is mistyped or missing")
    return text


def _matching(pattern: re.Pattern[str], meaning: str) -> PlainValidator:
    def judged(value: Any) -> str:
        if not isinstance(value, str) or not pattern.match(value):
            raise wrong(f"{str(value)[:60]!r} is not {meaning}")
        return value

    return PlainValidator(judged)


def _days(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or value != int(value):
        raise wrong(f"{shown_whole(value)} is not a whole number of days from 0 to {LONGEST_DAYS}")
    if not 0 <= value <= LONGEST_DAYS:
        raise wrong(f"{shown_whole(value)} is not a whole number of days from 0 to {LONGEST_DAYS}", code="out_of_range")
    return int(value)


def _logo(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith(_LOGO):
        raise wrong(f"a logo is a PNG as a data URL that begins with '{_LOGO}'")
    if len(value) > _LARGEST_LOGO:
        raise wrong(f"the logo has {len(value)} characters: at most {_LARGEST_LOGO}", code="too_long")
    try:
        picture = base64.b64decode(value.removeprefix(_LOGO), validate=True)
    except (binascii.Error, ValueError):
        picture = b""
    sides = [int.from_bytes(picture[start : start + 4], "big") for start in (16, 20)]
    if not picture.startswith(_PNG) or not all(0 < side <= _MOST_PIXELS for side in sides):
        raise wrong(f"the logo is not a PNG of at most {_MOST_PIXELS} x {_MOST_PIXELS} pixels in base64")
    return value


Iban = Annotated[
    str,
    PlainValidator(_iban),
    text_schema(" *[A-Za-z] *[A-Za-z]( *[0-9]){2}( *[A-Za-z0-9]){11,30} *"),
]
"""Spaces and small letters are allowed, and are taken away."""
Bic = Annotated[
    str,
    _matching(_BIC, "a BIC of 8 or 11 characters like 'COBADEFFXXX'"),
    text_schema("[A-Z]{6}[A-Z0-9]{2}([A-Z0-9]{3})?"),
]
Colour = Annotated[str, _matching(_COLOUR, "a colour like #1f4e79"), text_schema("#[0-9a-fA-F]{6}")]
InvoiceLocale = Annotated[
    str,
    _matching(_LOCALE, "a locale like 'de' or 'de-AT' in English, German, French or Spanish"),
    text_schema("(en|de|fr|es)([-_][A-Z]{2})?"),
]
Link = Annotated[
    str,
    _matching(_LINK, "an address that begins with https://"),
    text_schema('https://[^\\s<>"]{3,2000}'),
]
Days = Annotated[int, PlainValidator(_days), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": LONGEST_DAYS})]
Logo = Annotated[str, PlainValidator(_logo), text_schema(f"{_LOGO}[A-Za-z0-9+/=]*", _LARGEST_LOGO)]


class InvoiceDetails(BaseModel):
    """``invoicing`` of a tenant. Another field is refused, since a misspelt one would not be printed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    iban: Iban | None = Field(None, description="Account to pay to; its check digits are judged.")
    bic: Bic | None = Field(None, description="BIC of the bank.")
    bank: Text | None = Field(None, description="Name of the bank.")
    payment_terms_days: Days | None = Field(None, description="Days from issue until an invoice is due; 30 by default.")
    payment_link: Link | None = Field(None, description="Where invoices can be paid online.")
    email: Text | None = Field(None, description="Whom to ask about an invoice.")
    note: Text | None = Field(None, description="Small print of every invoice, such as the entry in a register.")
    locale: InvoiceLocale | None = Field(
        None,
        description="Language and formats of invoices; a customer's metadata.locale comes first. English by default.",
    )
    accent: Colour | None = Field(None, description="Colour of headings and lines.")
    logo: Logo | None = Field(None, description="A PNG as a data URL, shown above the seller's name.")
