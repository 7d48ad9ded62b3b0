"""Durations, currencies, time zones and dimension values as a catalog writes them."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

from valueverse.documents import CURRENCY_SCHEMA, StrictModel, Text, text_schema, wrong
from valueverse.errors import RefusalError
from valueverse.events import DURATION_SCHEMA, LONGEST_KEY, duration_seconds, is_time_zone
from valueverse.money import minor_units, plain

if TYPE_CHECKING:
    from pydantic.config import JsonDict


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    try:
        return timedelta(seconds=duration_seconds(value))
    except RefusalError as refusal:
        raise wrong(refusal.message, code=refusal.code if refusal.code == "out_of_range" else "") from refusal


def _seconds(value: timedelta) -> str:
    return f"{int(value.total_seconds())} seconds"


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(_seconds), DURATION_SCHEMA]
"""A fixed stretch of time; '24 hours' and '1 day' are the same."""


def _currency(value: Any) -> Any:
    if isinstance(value, str):
        try:
            minor_units(value)
        except RefusalError as refusal:
            raise wrong(refusal.message) from refusal
    return value


CurrencyCode = Annotated[str, BeforeValidator(_currency), CURRENCY_SCHEMA]
"""An ISO 4217 code."""


def _time_zone(value: Any) -> Any:
    if isinstance(value, str) and not is_time_zone(value):
        raise wrong(f"{value[:60]!r} is not an IANA time zone such as 'UTC' or 'Europe/Berlin'")
    return value


TimeZone = Annotated[str, BeforeValidator(_time_zone), text_schema("[A-Za-z][A-Za-z0-9_+/-]*")]


def dimension_text(value: Any) -> str:
    """A dimension's value as usage carries it: text as it is, a number plain, true and false as words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal | int):
        return plain(Decimal(value))
    if isinstance(value, str) and len(value) > LONGEST_KEY:
        message = f"{value[:40]!r}... has {len(value)} characters: a dimension's value has at most {LONGEST_KEY}"
        raise wrong(message, code="too_long")
    if isinstance(value, str):
        return value
    raise wrong(f"{value!r} is not a dimension value: write text, a number, true or false")


DIMENSION_SCHEMA: JsonDict = {"type": ["string", "number", "boolean"], "maxLength": LONGEST_KEY}
DimensionValue = Annotated[str, BeforeValidator(dimension_text), WithJsonSchema(DIMENSION_SCHEMA)]


class DisplayName(StrictModel):
    """What customers read of a part of a catalog, in one language."""

    name: Text | None = None
    unit: Text | None = None
    description: Text | None = None


Translations = dict[Literal["en", "de", "fr", "es"], DisplayName]
"""Display names by language; where one is missing, what the part itself states is shown."""
