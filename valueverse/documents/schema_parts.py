"""What of the rules of documents JSON Schema can say, so that editors and other programs refuse it too.

A schema takes every document that the reader takes. What it cannot say (references, order of tiers, formulas) is judged
by the reader alone.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from pydantic import WithJsonSchema

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import BaseModel

Schema = dict[str, Any]
_PLACES = 18
"""Decimals of an exact number."""
_EXPONENT = "[eE][+-]?[0-9]+"
_SPACE = r"\s*"
_LEAP_YEAR = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
REAL_DAY = (
    f"(?={_LEAP_YEAR}-|[0-9]{{4}}-(?!02-29))[0-9]{{4}}-"
    "((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|[12][0-9]))"
)
"""Pattern of a day of the calendar, such as 2024-02-29."""
_BOUNDS = {"ge": "minimum", "le": "maximum"}


def json_schema_of(model: type[BaseModel]) -> Schema:
    """The JSON Schema of a model, also with the bounds of numbers that a validator reads first."""
    found = _bounded(model.model_json_schema(by_alias=True))
    assert isinstance(found, dict)  # noqa: S101 - a schema of an object is one
    return found


def _bounded(part: Any) -> Any:
    if isinstance(part, dict):
        # Keys that a pattern names are all that there are.
        only = {"additionalProperties": False} if "patternProperties" in part else {}
        return only | {_BOUNDS.get(name, name): _bounded(value) for name, value in part.items()}
    return [_bounded(one) for one in part] if isinstance(part, list) else part


def text_schema(pattern: str = "", longest: int | None = None) -> WithJsonSchema:
    """A text that matches all of ``pattern``."""
    length = {} if longest is None else {"maxLength": longest}
    return WithJsonSchema({"type": "string", **({"pattern": f"^(?:{pattern})$"} if pattern else {}), **length})


def number_schema(digits: int, *, signed: bool = False, above: bool = False, most: int | None = None) -> Schema:
    """A number below 10^``digits``, as a JSON number or as a text.

    Args:
        digits: before the point.
        signed: may be below 0; else it is at least 0.
        above: is above 0.
        most: the largest, a power of ten; None: only ``digits`` bound it.
    """
    number: Schema = {"type": "number"}
    if not signed:
        number |= {"exclusiveMinimum": 0} if above else {"minimum": 0}
    number |= {"exclusiveMaximum": 10**digits} if most is None else {"maximum": most}
    sign, some = "[+-]?" if signed else "[+]?", "(?=[^eE]*[1-9])" if above else ""
    text = _text_of(digits) if most is None else f"({_text_of(len(str(most)) - 1)}|0*{most}([.]0*)?)"
    nothing = "" if signed or above else "|-(0+([.]0*)?|[.]0+)"
    return {"anyOf": [number, {"type": "string", "pattern": f"^{_SPACE}({some}{sign}{text}{nothing}){_SPACE}$"}]}


def _text_of(digits: int) -> str:
    """The pattern of a number's text without its sign; what an exponent makes of it is left to the reader."""
    places = f"[0-9]{{1,{_PLACES}}}0*"
    return rf"(0*[0-9]{{1,{digits}}}([.]({places})?)?|[.]{places}|([0-9]+[.]?[0-9]*|[.][0-9]+){_EXPONENT})"


def whole_schema(least: int, most: int, *, exponent: bool = False) -> Schema:
    """A whole number within these bounds, as a JSON number or as a text; ``least`` is at most 1.

    Args:
        least: the smallest.
        most: the largest.
        exponent: a text may have one; what it makes of the number is left to the reader.
    """
    some = "(?=[0-9]*[1-9])" if least > 0 else ""
    below = f"|-0*{up_to_pattern(-least)}([.]0*)?" if least <= 0 else ""
    power = f"|[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+){_EXPONENT}" if exponent else ""
    text = f"^{_SPACE}([+]?{some}0*{up_to_pattern(most)}([.]0*)?{below}{power}){_SPACE}$"
    number = {"type": "integer", "minimum": least, "maximum": most}
    return {"anyOf": [number, {"type": "string", "pattern": text}]}


def up_to_pattern(most: int) -> str:
    """The pattern of the digits of 0 to ``most``, without zeros before them."""
    digits = str(most)
    lower = [
        f"{digits[:place]}[0-{int(digit) - 1}]" + (f"[0-9]{{{rest}}}" if rest else "")
        for place, digit in enumerate(digits)
        if digit > "0" and (rest := len(digits) - place - 1) >= 0
    ]
    shorter = [f"[0-9]{{1,{len(digits) - 1}}}"] if len(digits) > 1 else []
    return f"({'|'.join([*shorter, *lower, digits])})"


def codes_pattern(codes: Iterable[str]) -> str:
    """The pattern that takes these codes and no other, those with one beginning together."""
    groups = groupby(sorted(codes), key=lambda code: code[:-1])
    return "|".join(f"{head}[{''.join(code[-1] for code in group)}]" for head, group in groups)


def has(name: str) -> Schema:
    """An object with a value for this field; null counts as none."""
    return {"required": [name], "properties": {name: {"not": {"type": "null"}}}}


def has_one_of(*names: str) -> Schema:
    """An object with a value for just one of these fields."""
    return {"oneOf": [has(name) for name in names]}


def has_not_both(first: str, second: str) -> Schema:
    """An object without values for both."""
    return {"not": {"allOf": [has(first), has(second)]}}
