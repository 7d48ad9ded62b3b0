"""Types of fields that documents share: exact numbers, texts, keys. Their errors are sentences (``wrong``)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from valueverse.documents.validation import wrong
from valueverse.errors import RefusalError
from valueverse.formula import QUANTITY_LIMIT
from valueverse.money import exact, plain

if TYPE_CHECKING:
    from collections.abc import Callable

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


Quantity = Annotated[Decimal, BeforeValidator(number_below(QUANTITY_LIMIT, least=Decimal(0)))]
"""Units, |q| < 10^12, at least 0."""
PositiveQuantity = Annotated[Decimal, BeforeValidator(number_below(QUANTITY_LIMIT, least=Decimal(0), above=True))]
Price = Annotated[Decimal, BeforeValidator(number_below(PRICE_LIMIT, least=Decimal(0)))]
"""The price of one unit, at least 0 and below 10^6."""
Amount = Annotated[Decimal, BeforeValidator(number_below(QUANTITY_LIMIT, least=Decimal(0)))]
"""Money of a whole fee, minimum or threshold: major units, at least 0."""
PositiveAmount = Annotated[Decimal, BeforeValidator(number_below(QUANTITY_LIMIT, least=Decimal(0), above=True))]
Percent = Annotated[Decimal, BeforeValidator(number_below(PRICE_LIMIT, least=Decimal(0)))]
"""In percent: 1.3 is 1.3 %."""


def _share(value: Any) -> Any:
    number = number_below(PRICE_LIMIT, least=Decimal(0))(value)
    if number > 100:
        raise wrong(f"{plain(number)} % is more than the whole: at most 100")
    return number


ShareInPercent = Annotated[Decimal, BeforeValidator(_share)]
"""A percentage of something, 0 to 100."""


def _whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise wrong(f"{value!r} is not a whole number")
    number = number_below(QUANTITY_LIMIT)(value)
    if number != number.to_integral_value():
        raise wrong(f"{plain(number)} is not a whole number")
    return int(number)


Whole = Annotated[int, BeforeValidator(_whole)]

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


Text = Annotated[str, BeforeValidator(_text)]


def _key(value: Any) -> Any:
    value = _text(value)
    if isinstance(value, str) and not KEY_PATTERN.match(value):
        raise wrong(f"{value[:80]!r} is not a key: up to 63 of a-z, 0-9, '_', '.', '-', a letter or digit first")
    return value


Key = Annotated[str, BeforeValidator(_key)]
"""A tenant, plan, meter, charge or coupon key (contracts.md, 1)."""
