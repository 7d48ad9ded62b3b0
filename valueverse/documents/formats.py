"""What one kind of document may hold: its numbers and its limits."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

JSON_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
SIGNIFICANT = 15
"""Digits that every double keeps; a number of more that is not written as a string may have lost some already."""
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
"""Postgres stores no NUL and UTF-8 no half of a surrogate pair: such a text could be read and stored nowhere."""


@dataclass(frozen=True, slots=True)
class Format:
    """One kind of document.

    Attributes:
        name: what it is called in sentences.
        keys: the keys that a sentence about another shape names.
        code: of what cannot be read.
        number: a JSON number's text -> its value; raises ValueError with a sentence.
        characters: of the text.
        depth: levels of nesting.
        entries: of one list or object.
        total: keys and entries of the whole document.
    """

    name: str
    keys: str
    code: str
    number: Callable[[str], Any]
    characters: int
    depth: int
    entries: int
    total: int


def significant_digits(text: str) -> int:
    """Digits that carry the value of a JSON number's text: leading zeros and the exponent do not."""
    mantissa = text.lower().partition("e")[0].replace("-", "").replace(".", "")
    return len(mantissa.lstrip("0"))


def exact_number(text: str) -> Decimal:
    """A number as it is written.

    Raises:
        ValueError: more than 15 significant digits, or beyond 10^40.
    """
    if significant_digits(text) > SIGNIFICANT:
        raise ValueError(f"the number {text[:40]} has more than 15 significant digits: write it as a string")
    number = Decimal(text)
    if number and not -40 < number.adjusted() < 40:
        raise ValueError(f"the number {text[:40]} is out of range: at most 1e12, and 18 decimals")
    return number


def float_number(text: str) -> int | float:
    """A whole number of up to 15 digits, else the nearest double.

    Raises:
        ValueError: beyond the range of doubles.
    """
    if len(text) <= SIGNIFICANT and text.lstrip("-").isdigit():
        return int(text)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {text[:40]} is out of range")
    return number
