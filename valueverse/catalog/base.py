"""What every part of a catalog shares: strict models, exact numbers, keys, refusals one can act on."""

from __future__ import annotations

import difflib
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from valueverse.errors import RefusalError
from valueverse.events.validation import LONGEST_KEY
from valueverse.formula.numbers import QUANTITY_LIMIT
from valueverse.money import exact, plain

if TYPE_CHECKING:
    from collections.abc import Callable

PRICE_LIMIT = Decimal(10) ** 6
KEY_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]{0,62}\Z")


Kind = Literal["refused", "out_of_range", "too_long"]


def problem(message: str, field: str = "", *, kind: Kind = "refused") -> PydanticCustomError:
    """An error whose sentence reaches the user as it stands.

    ``field`` is meant when a whole object is judged; a kind other than ``refused`` becomes the refusal's code.
    """
    return PydanticCustomError(kind, "{message}", {"message": message, "field": field})


class StrictModel(BaseModel):
    """Immutable, and an unknown field is refused with the name that was probably meant."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    @model_validator(mode="before")
    @classmethod
    def _known_fields_only(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        known = {field.alias or name for name, field in cls.model_fields.items()}
        for name in value:
            if name not in known and name not in cls.model_fields:
                raise problem(unknown_name(f"unknown field {name!r}", str(name), known), str(name))
        return value


def unknown_name(what: str, name: str, known: set[str]) -> str:
    """A sentence that says what is unknown, and which known name is near."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    if near:
        return f"{what}: did you mean {near[0]!r}?"
    listed = ", ".join(sorted(known)[:20]) or "none"
    return f"{what}; known are: {listed}"


def _number(limit: Decimal, *, least: Decimal | None = None, above: bool = False) -> Callable[[Any], Any]:
    def judge(value: Any) -> Any:
        if isinstance(value, bool) or value is None:
            raise problem(f"{value} is not a number: write a number or a string such as '12.50'")
        if isinstance(value, float):
            raise problem(f"{value!r} came as a binary float: write the number as a string")
        try:
            number = exact(value, "")
        except RefusalError as refusal:
            kind: Kind = "out_of_range" if refusal.code == "out_of_range" else "refused"
            raise problem(refusal.message, kind=kind) from refusal
        # abs() would round to the 28 digits of Python's default context; a quantity may have 30.
        if number.copy_abs() >= limit:
            raise problem(f"{plain(number)} is out of range: it must be below {plain(limit)}", kind="out_of_range")
        if least is not None and (number < least or (above and number == least)):
            word = "above" if above else "at least"
            raise problem(f"{plain(number)} is too small: it must be {word} {plain(least)}")
        return number

    return judge


Quantity = Annotated[Decimal, BeforeValidator(_number(QUANTITY_LIMIT, least=Decimal(0)))]
"""Units, |q| < 10^12, at least 0."""
PositiveQuantity = Annotated[Decimal, BeforeValidator(_number(QUANTITY_LIMIT, least=Decimal(0), above=True))]
Price = Annotated[Decimal, BeforeValidator(_number(PRICE_LIMIT, least=Decimal(0)))]
"""The price of one unit, at least 0 and below 10^6."""
Amount = Annotated[Decimal, BeforeValidator(_number(QUANTITY_LIMIT, least=Decimal(0)))]
"""Money of a whole fee, minimum or threshold: major units, at least 0."""
PositiveAmount = Annotated[Decimal, BeforeValidator(_number(QUANTITY_LIMIT, least=Decimal(0), above=True))]
Percent = Annotated[Decimal, BeforeValidator(_number(PRICE_LIMIT, least=Decimal(0)))]
"""In percent: 1.3 is 1.3 %."""


def _share(value: Any) -> Any:
    number = _number(PRICE_LIMIT, least=Decimal(0))(value)
    if number > 100:
        raise problem(f"{plain(number)} % is more than the whole: at most 100")
    return number


ShareInPercent = Annotated[Decimal, BeforeValidator(_share)]
"""A percentage of something, 0 to 100."""


def _whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise problem(f"{value!r} is not a whole number")
    number = _number(QUANTITY_LIMIT)(value)
    if number != number.to_integral_value():
        raise problem(f"{plain(number)} is not a whole number")
    return int(number)


Whole = Annotated[int, BeforeValidator(_whole)]

Flag = Annotated[bool, Field(strict=True)]
"""true or false; a word such as 'no' or a number is not taken for one."""


LONGEST_TEXT = 4_096
"""Characters of a name, a description, a formula."""


def _text(value: Any) -> Any:
    if isinstance(value, Decimal | int | float):
        raise problem(f"{value} must be text: put it in quotes")
    if isinstance(value, str) and not value.isprintable():
        raise problem(f"{value[:40]!r} holds characters that cannot be printed; remove them")
    if isinstance(value, str) and len(value) > LONGEST_TEXT:
        raise problem(f"{len(value)} characters are too many: at most {LONGEST_TEXT} are taken", kind="too_long")
    return value


Text = Annotated[str, BeforeValidator(_text)]


def _key(value: Any) -> Any:
    value = _text(value)
    if isinstance(value, str) and not KEY_PATTERN.match(value):
        raise problem(f"{value[:80]!r} is not a key: up to 63 of a-z, 0-9, '_', '.', '-', a letter or digit first")
    return value


Key = Annotated[str, BeforeValidator(_key)]
"""A tenant, plan, meter, charge or coupon key (contracts.md, 1)."""


def dimension_text(value: Any) -> str:
    """A dimension's value as usage carries it: text as it is, a number plain, true and false as words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal | int):
        return plain(Decimal(value))
    if isinstance(value, str) and len(value) > LONGEST_KEY:
        message = f"{value[:40]!r}... has {len(value)} characters: a dimension's value has at most {LONGEST_KEY}"
        raise problem(message, kind="too_long")
    if isinstance(value, str):
        return value
    raise problem(f"{value!r} is not a dimension value: write text, a number, true or false")


DimensionValue = Annotated[str, BeforeValidator(dimension_text)]


def path_of(location: tuple[int | str, ...]) -> str:
    """Pydantic's location as a reader writes it: ``plans[0].charges[1].price.unit``."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in location]
    return "".join(parts).removeprefix(".")


_SENTENCES = {
    "missing": "this field is required",
    "extra_forbidden": "unknown field; remove it",
    "model_type": "an object of fields is expected here",
    "model_attributes_type": "an object of fields is expected here",
    "list_type": "a list is expected here",
    "tuple_type": "a list is expected here",
    "dict_type": "an object of fields is expected here",
    "string_type": "text is expected here",
    "bool_type": "true or false is expected here",
    "too_short": "a list with an entry is expected here",
    "union_tag_not_found": "an object with 'model' is expected here",
}


def refusal_of(error: ValidationError, code: str, tree: Any = None) -> RefusalError:
    """The first thing wrong as a RefusalError.

    ``tree`` is the input: parts of a location that it lacks (the tags of a union) are left out of the path.
    """
    first = error.errors(include_url=False)[0]
    kind, context = first["type"], first.get("ctx", {})
    message = _SENTENCES.get(kind, first["msg"].removeprefix("Input should be "))
    if kind == "union_tag_invalid":
        known = set(context["expected_tags"].replace("'", "").split(", "))
        message = unknown_name(f"unknown model {context['tag'][:60]!r}", context["tag"], known)
    elif kind not in {"refused", "out_of_range", "too_long", "missing"}:
        message = f"{message} is expected, not" if kind not in _SENTENCES else f"{message}, not"
        message += f" {str(first['input'])[:60]!r}"
    more = error.error_count() - 1
    if more:
        message += f" (and {more} more)"
    location = _present(first["loc"], tree, missing=kind == "missing")
    field = context.get("field", "model" if kind == "union_tag_invalid" else "")
    found = kind if kind in {"out_of_range", "too_long"} else code
    return RefusalError(found, message, path_of((*location, field) if field else location))


def _present(location: tuple[int | str, ...], tree: Any, *, missing: bool) -> tuple[int | str, ...]:
    kept: list[int | str] = []
    for index, part in enumerate(location):
        inside = (isinstance(tree, dict) and part in tree) or (
            isinstance(tree, list) and isinstance(part, int) and part < len(tree)
        )
        if inside:
            tree = tree[part]
            kept.append(part)
        elif missing and index == len(location) - 1 and isinstance(tree, dict):
            kept.append(part)
    return tuple(kept)
