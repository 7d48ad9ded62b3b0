"""Types of fields that documents share: exact numbers, texts, keys. Their errors are sentences (``wrong``)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, GroupedMetadata, Le
from pydantic import BeforeValidator, Field, WithJsonSchema

from valueverse.documents.countries import COUNTRIES, judge_country
from valueverse.documents.schema_parts import codes_pattern, number_schema, text_schema, whole_schema
from valueverse.documents.validation import wrong
from valueverse.errors import RefusalError
from valueverse.formula import QUANTITY_LIMIT
from valueverse.money import CURRENCIES, exact, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PRICE_LIMIT = Decimal(10) ** 6
KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}\Z")
LONGEST_TEXT = 4_096
"""Characters of a name, a description, a formula."""


def number_below(limit: Decimal, *, least: Decimal | None = None, above: bool = False) -> Callable[[Any], Any]:
    """A validator: an exact number with |n| < ``limit``, at least ``least`` (or ``above`` it)."""

    def judge(value: Any) -> Any:
        if isinstance(value, bool) or value is None:
            raise wrong(f"{value} is not a number: write a number or a string such as '12.50'")
        if isinstance(value, float):
            raise wrong(f"{value!r} came as a binary float: write the number as a string")
        try:
            number = exact(value, "")
        except RefusalError as refusal:
            raise wrong(refusal.message, code=refusal.code if refusal.code == "out_of_range" else "") from refusal
        # abs() would round to the 28 digits of Python's default context; a quantity may have 30.
        if number.copy_abs() >= limit:
            raise wrong(f"{plain(number)} is out of range: it must be below {plain(limit)}", code="out_of_range")
        if least is not None and (number < least or (above and number == least)):
            word = "above" if above else "at least"
            raise wrong(f"{plain(number)} is too small: it must be {word} {plain(least)}")
        return number

    return judge


_UNITS = number_below(QUANTITY_LIMIT, least=Decimal(0))
_UNITS_ABOVE = number_below(QUANTITY_LIMIT, least=Decimal(0), above=True)
_PRICES = number_below(PRICE_LIMIT, least=Decimal(0))
_UNITS_SCHEMA = WithJsonSchema(number_schema(12))
_UNITS_ABOVE_SCHEMA = WithJsonSchema(number_schema(12, above=True))
_PRICES_SCHEMA = WithJsonSchema(number_schema(6))

Quantity = Annotated[Decimal, BeforeValidator(_UNITS), _UNITS_SCHEMA]
"""Units, |q| < 10^12, at least 0."""
PositiveQuantity = Annotated[Decimal, BeforeValidator(_UNITS_ABOVE), _UNITS_ABOVE_SCHEMA]
Price = Annotated[Decimal, BeforeValidator(_PRICES), _PRICES_SCHEMA]
"""The price of one unit, at least 0 and below 10^6."""
Amount = Annotated[Decimal, BeforeValidator(_UNITS), _UNITS_SCHEMA]
"""Money of a whole fee, minimum or threshold: major units, at least 0."""
PositiveAmount = Annotated[Decimal, BeforeValidator(_UNITS_ABOVE), _UNITS_ABOVE_SCHEMA]
Percent = Annotated[Decimal, BeforeValidator(_PRICES), _PRICES_SCHEMA]
"""In percent: 1.3 is 1.3 %."""


def _share(value: Any) -> Any:
    number = number_below(PRICE_LIMIT, least=Decimal(0))(value)
    if number > 100:
        raise wrong(f"{plain(number)} % is more than the whole: at most 100")
    return number


ShareInPercent = Annotated[Decimal, BeforeValidator(_share), WithJsonSchema(number_schema(3, most=100))]
"""A percentage of something, 0 to 100."""


def _whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise wrong(f"{value!r} is not a whole number")
    number = number_below(QUANTITY_LIMIT)(value)
    if number != number.to_integral_value():
        raise wrong(f"{plain(number)} is not a whole number")
    return int(number)


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number; always with ``Between``."""


@dataclass(frozen=True)
class Between(GroupedMetadata):
    """Bounds of a ``Whole``, both included; ``most`` None: that of every quantity."""

    least: int
    most: int | None = None

    def __iter__(self) -> Iterator[Any]:
        """What pydantic reads: the bounds, and the schema with them."""
        yield Ge(self.least)
        most = int(QUANTITY_LIMIT) - 1 if self.most is None else self.most
        yield Le(most)
        yield WithJsonSchema(whole_schema(self.least, most, exponent=True))


Flag = Annotated[bool, Field(strict=True)]
"""true or false; a word such as 'no' or a number is not taken for one."""


def _text(value: Any) -> Any:
    if isinstance(value, Decimal | int | float):
        raise wrong(f"{value} must be text: put it in quotes")
    if isinstance(value, str) and not value.isprintable():
        raise wrong(f"{value[:40]!r} holds characters that cannot be printed; remove them")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise wrong(f"{len(value)} characters are too many: at most {LONGEST_TEXT} are taken", code="too_long")
    return value


CONTROL_CHARACTERS = r"\x00-\x1f\x7f-\x9f"
UNPRINTABLE = (
    rf"{CONTROL_CHARACTERS}\xa0\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e\u2000-\u200f"
    r"\u2028-\u202f\u205f-\u2064\u2066-\u206f\u3000\ufeff\ufff9-\ufffb"
)
"""Of a pattern: control and format characters and separators but the space, up to U+FFFF."""
PRINTABLE = f"[^{UNPRINTABLE}]"
"""Pattern of a printable character."""
Text = Annotated[str, BeforeValidator(_text), text_schema(f"{PRINTABLE}*", LONGEST_TEXT)]


def _key(value: Any) -> Any:
    value = _text(value)
    if isinstance(value, str) and not KEY_PATTERN.match(value):
        raise wrong(f"{value[:80]!r} is not a key: up to 63 of a-z, 0-9, '_', '.', '-', a letter or digit first")
    return value


Key = Annotated[str, BeforeValidator(_key), text_schema("[a-z0-9][a-z0-9_.-]{0,62}")]
"""A tenant, plan, meter, charge or coupon key (contracts.md, 1)."""

CountryCode = Annotated[str, BeforeValidator(judge_country), text_schema(codes_pattern(COUNTRIES))]
CURRENCY_SCHEMA = text_schema(codes_pattern(CURRENCIES))
"""Codes of ISO 4217 with a minor unit."""
