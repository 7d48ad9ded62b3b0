"""One line of NDJSON, or the ``data`` of one event: strict JSON whose numbers are Decimals read from their text."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, Literal

from valueverse.documents.formats import SIGNIFICANT, UNSTORABLE, significant_digits
from valueverse.documents.json_reader import no_constant, unique_keys
from valueverse.documents.source import child_path
from valueverse.errors import RefusalError

_FARTHEST = 9_999
"""Exponents beyond it mean the same: out of range wherever the number stands. Decimal ends at 10^18."""


_REFUSED = {"stored": UNSTORABLE, "answered": re.compile("[\ud800-\udfff]"), "any": None}


class InexactNumber(Decimal):
    """A number of more than 15 significant digits that is not written as a string."""


def line_number(text: str) -> Decimal:
    """The Decimal of a JSON number's text; ``InexactNumber`` where a double could not have carried it."""
    digits = significant_digits(text)
    if not digits:
        return Decimal(0)
    mantissa, _, exponent = text.lower().partition("e")
    if len(exponent.lstrip("+-0")) > len(str(_FARTHEST)):
        text = f"{mantissa}e{'-' if exponent.startswith('-') else ''}{_FARTHEST}"
    return InexactNumber(text) if digits > SIGNIFICANT else Decimal(text)


def decode_line(text: str) -> Any:
    """A JSON text; what no column could hold unchanged is left to ``check_values``.

    Raises:
        RefusalError: ``malformed``: no JSON, NaN or Infinity, a key that stands twice, or nesting without end.
    """
    try:
        return json.loads(
            text,
            parse_float=line_number,
            parse_int=line_number,
            parse_constant=no_constant,
            object_pairs_hook=unique_keys,
        )
    except RecursionError as error:
        raise RefusalError("malformed", "nested without end; flatten it") from error
    except ValueError as error:
        cure = "; end every line with a line feed, or every one with a carriage return" if "\r" in text.strip() else ""
        raise RefusalError("malformed", f"not JSON: {encodable(str(error)[:120])}{cure}") from error


def check_values(
    value: Any,
    path: str = "",
    *,
    deepest: int,
    texts: Literal["stored", "answered", "any"] = "stored",
    inexact: bool = False,
) -> None:
    """Refuse what no column could hold unchanged.

    Args:
        value: of ``decode_line``.
        path: of it.
        deepest: levels of nesting.
        texts: ``stored``: NUL and halves of surrogate pairs are refused; ``answered``: halves are; ``any``: nothing is.
        inexact: numbers are floats by nature, so that all their digits are taken.

    Raises:
        RefusalError: ``inexact_number`` for more than 15 significant digits outside a string; ``malformed`` for refused
            characters and for nesting beyond ``deepest``.
    """

    refused = _REFUSED[texts]

    def check(value: Any, path: str, depth: int) -> None:
        if depth > deepest:
            raise RefusalError("malformed", f"nested more than {deepest} levels deep; flatten it", path[:200])
        if isinstance(value, dict):
            for key, item in value.items():
                _check_text(key, path if texts == "stored" else child_path(path, key), refused)
                check(item, child_path(path, encodable(key)), depth + 1)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                check(item, f"{path}[{index}]", depth + 1)
        elif isinstance(value, str):
            _check_text(value, path, refused)
        elif isinstance(value, InexactNumber) and not inexact:
            message = f"{str(value)[:60]} has more than 15 significant digits: write it as a string"
            raise RefusalError("inexact_number", message, path)

    check(value, path, 0)


def _check_text(text: str, path: str, refused: re.Pattern[str] | None) -> None:
    found = refused.search(text) if refused else None
    if found is not None:
        what = "a NUL character; remove it" if found[0] == "\x00" else "half a surrogate pair, which is no character"
        raise RefusalError("malformed", f"the text holds {what}", path)


def encodable(text: str) -> str:
    """The text with what UTF-8 or Postgres cannot hold replaced, to be shown."""
    return UNSTORABLE.sub("?", text)
