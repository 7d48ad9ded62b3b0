"""Types of fields that several calculators read, and how a line becomes the model of its command."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, PlainValidator, ValidationInfo, model_validator

from valueverse.documents import StrictModel, error_of, judge_object, wrong
from valueverse.errors import RefusalError
from valueverse.events import is_time_zone
from valueverse.formula import QUANTITY_LIMIT
from valueverse.money import exact, minor_units
from valueverse.services.calculators.time_ranges import read_bound
from valueverse.services.instants import read_time_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

AMOUNT_LIMIT = Decimal(10) ** 19
PERCENT_LIMIT = Decimal(10) ** 6
LONGEST_PERIOD = 36_600
_LONGEST_KEY = 128
CODES = {
    "missing": "missing_field",
    "extra_forbidden": "unknown_field",
    "too_long": "too_many",
    **dict.fromkeys(("model_type", "model_attributes_type", "list_type", "tuple_type", "dict_type"), "malformed"),
}
"""Codes of what pydantic finds; what our own fields find has its own."""
Line = TypeVar("Line", bound=StrictModel)


def read_line(model: type[Line], document: dict[str, Any], codes: Mapping[str, str] = CODES) -> Line:
    """A line as the model of its command.

    Raises:
        DocumentError: everything that is wrong with it.
    """
    zone = document.get("timezone")
    # A zone that is wrong is a problem of its own, and bare dates are read all the same.
    known = zone if isinstance(zone, str) and is_time_zone(zone) else "UTC"
    return judge_object(model, document, "malformed", codes, context=known)


def _currency(value: Any) -> str:
    if not isinstance(value, str):
        raise wrong(f"{str(value)[:40]!r} is not a currency code", code="unknown_currency")
    try:
        minor_units(value)
    except RefusalError as refusal:
        raise error_of(refusal) from refusal
    return value


def _time_zone(value: Any) -> str:
    try:
        return read_time_zone(value, "")
    except RefusalError as refusal:
        raise error_of(refusal) from refusal


def _instant(value: Any, info: ValidationInfo) -> datetime:
    try:
        return read_bound(value, str(info.context), "")
    except RefusalError as refusal:
        raise error_of(refusal) from refusal


def _key(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_KEY or not value.isprintable():
        message = f"{str(value)[:40]!r} is not a key: printable text of 1 to {_LONGEST_KEY} characters"
        raise wrong(message, code="bad_key")
    return value


def number_below(limit: Decimal, bound: str) -> Callable[[Any], Decimal]:
    """A validator: an exact number of either sign whose size stays below ``limit``."""

    def judge(value: Any) -> Decimal:
        number = _exact(value)
        # abs() would round to the 28 digits of Python's default context.
        if number.copy_abs() >= limit:
            raise wrong(f"{str(value)[:60]} is out of range: it must stay below {bound}", code="out_of_range")
        return number

    return judge


def _exact(value: Any) -> Decimal:
    try:
        return exact(value)
    except RefusalError as refusal:
        raise error_of(refusal) from refusal


def _signed(value: Any) -> Decimal:
    return number_below(AMOUNT_LIMIT, "10^19")(value)


def _amount(value: Any) -> Decimal:
    number = _signed(value)
    if number < 0:
        raise wrong(f"{value} is negative: it is at least 0", code="out_of_range")
    return number


def _tax_percent(value: Any) -> Decimal:
    percent = Decimal(0) if value is None else _amount(value)
    if percent >= PERCENT_LIMIT:
        raise wrong(f"{value} % is out of range: it must stay below 10^6", code="out_of_range")
    return percent


Currency = Annotated[str, PlainValidator(_currency)]
TimeZone = Annotated[str, PlainValidator(_time_zone)]
"""An IANA zone; null is UTC."""
Instant = Annotated[datetime, PlainValidator(_instant)]
"""RFC 3339, or a bare date for local midnight, within the years that are billed; in UTC."""
Key = Annotated[str, PlainValidator(_key)]
Exact = Annotated[Decimal, PlainValidator(_exact), Field(description="a number such as '12.50'")]
Signed = Annotated[Decimal, PlainValidator(_signed), Field(description="a number such as '12.50'")]
Amount = Annotated[Decimal, PlainValidator(_amount), Field(description="a number such as '12.50'")]
TaxPercent = Annotated[Decimal, PlainValidator(_tax_percent)]
Number = Annotated[Decimal, PlainValidator(number_below(QUANTITY_LIMIT, "10^12"))]
"""A quantity of either sign."""


def one_of(code: str, *choices: str) -> BeforeValidator:
    """A word of a closed list; null is the field's default, and is left to it."""

    def judge(value: Any) -> Any:
        if value not in choices:
            raise wrong(f"{str(value)[:40]!r} is none of {', '.join(choices)}", code=code)
        return value

    return BeforeValidator(judge)


def only_fields(*names: str) -> BeforeValidator:
    """An object with no other fields; null is left out."""

    def judge(value: Any) -> Any:
        if not isinstance(value, dict) or not set(value) <= set(names):
            raise wrong(f"an object with {' and '.join(names)} is expected here", code="malformed")
        return value

    return BeforeValidator(judge)


class LinePart(StrictModel):
    """An object of a line; a required field that is null is one that is missing."""

    @model_validator(mode="before")
    @classmethod
    def _null_is_missing(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        required = {field.alias or name for name, field in cls.model_fields.items() if field.is_required()}
        return {name: item for name, item in value.items() if item is not None or name not in required}


class Rounding(StrictModel):
    """Mode and level, as a catalog's ``rounding``."""

    mode: Annotated[
        Literal["half_up", "half_even", "up", "down"], one_of("bad_rounding", "half_up", "half_even", "up", "down")
    ] = "half_up"
    level: Annotated[Literal["line", "tier", "invoice"], one_of("bad_rounding", "line", "tier", "invoice")] = "line"


class Proration(StrictModel):
    """Days used of a full period."""

    days: Number
    of: Number

    @model_validator(mode="before")
    @classmethod
    def _both_are_numbers(cls, value: Any) -> Any:
        for name in ("days", "of"):
            if isinstance(value, dict) and value.get(name) is None:
                raise wrong(f"{name!r} is missing: a whole number of days", name, code="not_a_number")
        return value

    @model_validator(mode="after")
    def _whole_days(self) -> Self:
        days, of = self.days, self.of
        if days != int(days) or of != int(of) or not 0 <= days <= of or not 1 <= of <= LONGEST_PERIOD:
            message = f"days and of are whole numbers, 0 <= days <= of and 1 <= of <= {LONGEST_PERIOD}"
            raise wrong(message, code="bad_proration")
        return self


class Window(LinePart):
    """[from, to) of an object; its further fields are the sender's own."""

    model_config = ConfigDict(extra="ignore")
    may_be_empty: ClassVar[bool] = False

    from_: Annotated[Instant, Field(alias="from", description="give a date or an RFC 3339 instant")]
    to: Annotated[Instant, Field(description="give a date or an RFC 3339 instant")]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.from_ > self.to or (self.from_ == self.to and not self.may_be_empty):
            raise wrong("'to' must lie after 'from': it is exclusive", "to", code="bad_window")
        return self


class PossiblyEmptyWindow(Window):
    """[from, to) that may hold nothing."""

    may_be_empty: ClassVar[bool] = True


def window(value: Any) -> Any:
    """An object with ``from`` and ``to``."""
    if not isinstance(value, dict):
        raise wrong("an object with 'from' and 'to' is expected here", code="missing_field")
    return value


RoundingField = Annotated[Rounding, only_fields("mode", "level")]
ProrationField = Annotated[Proration, only_fields("days", "of")]
