"""Numbers of a document: JSON numbers, texts that read like one, and constant expressions such as ``2 * pi``."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from valueverse.documents import JSON_NUMBER, wrong
from valueverse.formula import parse
from valueverse.value.architect.language.constants import constant

LARGEST = 1e15
"""No number of a model is larger: products of a few of them still stay far from the end of floats."""


def number_from(value: object, field: str = "") -> float:
    """A finite number, |n| <= 10^15.

    Raises:
        PydanticCustomError: anything else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong(f"{_shown(value)} is not a number", field)
    try:
        if isinstance(value, str) and not JSON_NUMBER.match(value):
            number = constant(parse(value), value)
        else:
            number = float(value)
    except (ValueError, OverflowError):
        number = math.inf
    except Exception as error:
        reason = getattr(error, "message", "")
        raise wrong(f"{str(value)[:60]!r} is not a number: {reason}", field) from error
    if not math.isfinite(number) or abs(number) > LARGEST:
        raise wrong(f"{_shown(value)} is out of range: at most 10^15", field)
    return number + 0.0


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return f"a {'mapping' if isinstance(value, dict) else 'list'} of {len(value)} entries"
    return {None: "an empty value", True: "true", False: "false"}.get(value) or repr(value)[:60]  # type: ignore[call-overload]


def numbers_from(value: object, count: tuple[int, int], field: str = "", shape: str = "") -> list[float]:
    """A list of numbers, its length within ``count``.

    Raises:
        PydanticCustomError: anything else.
    """
    if not isinstance(value, list | tuple) or not count[0] <= len(value) <= count[1]:
        many = str(count[0]) if count[0] == count[1] else f"{count[0]} to {count[1]}"
        raise wrong(f"a list of {many} numbers is expected here{shape and f': {shape}'}", field)
    return [number_from(one, f"{field}[{index}]") for index, one in enumerate(value)]


_NUMBER: dict[str, Any] = {"type": "number", "minimum": -LARGEST, "maximum": LARGEST}
AMOUNT_SCHEMA: dict[str, Any] = {
    "anyOf": [
        _NUMBER,
        {"type": "string", "pattern": "[0-9]|pi|true|false", "description": "a number, or '5 USD/month'"},
    ]
}
"""A number, or a text that says one, also with a unit."""
_CONSTANT = r"(?=.*([0-9]|pi))[0-9.eEpi+*/^()\s-]*"
"""What a number or an expression of numbers and pi is written with."""
_NUMBER_TEXT: dict[str, Any] = {"type": "string", "pattern": f"^{_CONSTANT}$", "description": "a number, or '2 * pi'"}
NUMBER_SCHEMA: dict[str, Any] = {"anyOf": [_NUMBER, _NUMBER_TEXT]}
"""A number, or a text that says one."""
Number = Annotated[float, BeforeValidator(number_from), WithJsonSchema(NUMBER_SCHEMA)]


def _between(low: float, high: float, *, below: bool = False) -> Any:
    def judge(value: object) -> float:
        number = number_from(value)
        if not low <= number <= high or (below and number == high):
            raise wrong(f"{number:g} is out of range: a fraction from {low:g} to {'below ' if below else ''}{high:g}")
        return number

    return judge


def _fraction_schema(low: float, high: int, *, below: bool = False) -> WithJsonSchema:
    """Of a text, a plain number is judged; what an expression comes to is left to the reader."""
    bound = "exclusiveMaximum" if below else "maximum"
    inside = "0([.][0-9]+)?" if high == 1 else "[0-9]([.][0-9]+)?"
    zero = "-0([.]0+)?" if low == 0 else "-0([.][0-9]+)?"
    most = "" if below else f"|{high}([.]0+)?"
    plain = f"(?!-?(0|[1-9][0-9]*)([.][0-9]+)?$)|(?=({inside}|{zero}{most})$)"
    text = _NUMBER_TEXT | {"pattern": f"^({plain}){_CONSTANT}$"}
    return WithJsonSchema({"anyOf": [{"type": "number", "minimum": low, bound: high}, text]})


Fraction = Annotated[float, BeforeValidator(_between(0, 1)), _fraction_schema(0, 1)]
"""A part of a whole: 0.2 is 20 %."""
Decay = Annotated[float, BeforeValidator(_between(0, 1, below=True)), _fraction_schema(0, 1, below=True)]
Risk = Annotated[float, BeforeValidator(_between(0, 10)), _fraction_schema(0, 10)]
"""Of a cost: it may more than double."""
Rate = Annotated[float, BeforeValidator(_between(-0.99, 10)), _fraction_schema(-0.99, 10)]
