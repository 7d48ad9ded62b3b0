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


_NUMBER_TEXT: dict[str, Any] = {"type": "string", "pattern": "[0-9]|pi", "description": "a number, or '2 * pi'"}
NUMBER_SCHEMA: dict[str, Any] = {"anyOf": [{"type": "number", "minimum": -LARGEST, "maximum": LARGEST}, _NUMBER_TEXT]}
"""A number, or a text that says one; of amounts also with a unit."""
Number = Annotated[float, BeforeValidator(number_from), WithJsonSchema(NUMBER_SCHEMA)]


def _between(low: float, high: float, *, below: bool = False) -> Any:
    def judge(value: object) -> float:
        number = number_from(value)
        if not low <= number <= high or (below and number == high):
            raise wrong(f"{number:g} is out of range: a fraction from {low:g} to {'below ' if below else ''}{high:g}")
        return number

    return judge


def _fraction_schema(low: float, high: float) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [{"type": "number", "minimum": low, "maximum": high}, _NUMBER_TEXT]})


Fraction = Annotated[float, BeforeValidator(_between(0, 1)), _fraction_schema(0, 1)]
"""A part of a whole: 0.2 is 20 %."""
Decay = Annotated[float, BeforeValidator(_between(0, 1, below=True)), _fraction_schema(0, 1)]
Risk = Annotated[float, BeforeValidator(_between(0, 10)), _fraction_schema(0, 10)]
"""Of a cost: it may more than double."""
Rate = Annotated[float, BeforeValidator(_between(-0.99, 10)), _fraction_schema(-0.99, 10)]
