"""Types of the fields of billing events; their errors are sentences (``wrong``)."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from valueverse.documents import (
    CURRENCY_SCHEMA,
    KEY_PATTERN,
    REAL_DAY,
    UNPRINTABLE,
    number_schema,
    text_schema,
    up_to_pattern,
    wrong,
)
from valueverse.errors import RefusalError
from valueverse.events.validation import CALENDAR, EARLIEST, LATEST, is_time_zone
from valueverse.money import exact, minor_units

if TYPE_CHECKING:
    from collections.abc import Callable

_NUMBER = re.compile(r"[0-9.]+(e[0-9]+)?\Z")
"""What both a key and a number could be is taken for a number."""
_LIMIT = Decimal(10) ** 12
_LARGEST_WHOLE = 1_000_000
"""Versions and priorities: no plan has more of either."""
LONGEST_DAYS = 3_660
"""Of a duration: grace, trial."""
_SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400, "week": 604_800}
NAME_RULE = "1 to 128 printable characters without '/'"
"""What keys of customers, subscriptions and wallets are."""
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}\Z", re.ASCII)
_TIME = r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}:\d{2}(\.\d+)?"
_LOCAL = re.compile(rf"{_TIME}\Z", re.ASCII)
_INSTANT = re.compile(rf"{_TIME}(Z|[+-]\d{{2}}:[0-5]\d)\Z", re.ASCII)
_DURATION = re.compile(r"([0-9]{1,9}) (second|minute|hour|day|week)s?\Z")
DURATION_SCHEMA = text_schema(
    "(?=[0-9]{1,9} )0*("
    + "|".join(
        f"{up_to_pattern(LONGEST_DAYS * _SECONDS['day'] // seconds)} {unit}s?" for unit, seconds in _SECONDS.items()
    )
    + ")"
)
_DATE_PATTERN = f"(?=19[7-9]|2[01]|2200-01-01){REAL_DAY}"
_CLOCK = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]+)?"
_OFFSET = "([01][0-9]|2[0-3]):[0-5][0-9]"


def _instant_pattern(between: str) -> str:
    """Of an instant; an offset can bring the days beside the calendar into it."""
    first = f"1969-12-31{between}{_CLOCK}-{_OFFSET}"
    last = f"2200-01-01{between}(00:00:00([.]0+)?([Zz]|-00:00)|{_CLOCK}[+]{_OFFSET})"
    return f"({first}|{last}|(?!2200){_DATE_PATTERN}{between}{_CLOCK}([Zz]|[+-]{_OFFSET}))"


INSTANT_PATTERN = _instant_pattern("[Tt]")
"""Of an event's time."""


def duration_seconds(value: Any, path: str = "") -> int:
    """Seconds of a duration such as '1 day', '12 hours' or '30 minutes'.

    Raises:
        RefusalError: ``bad_duration``; ``out_of_range`` for more than 3,660 days.
    """
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        message = f"{str(value)[:40]!r} is no duration: write it like '1 day', '12 hours' or '30 minutes'"
        raise RefusalError("bad_duration", message, path)
    seconds = int(match[1]) * _SECONDS[match[2]]
    if seconds > LONGEST_DAYS * _SECONDS["day"]:
        raise RefusalError("out_of_range", f"{value!r} is too long: at most {LONGEST_DAYS} days", path)
    return seconds


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > 4096:
        raise wrong("text of 1 to 4096 characters is expected here")
    return value


def _key(value: Any) -> str:
    if not isinstance(value, str) or not KEY_PATTERN.match(value):
        raise wrong(f"{str(value)[:60]!r} is not a key: a-z, 0-9, '_', '.', '-', a letter or digit first")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 128 or "/" in value or not value.isprintable():
        raise wrong(f"{str(value)[:60]!r} is not {NAME_RULE}")
    return value


def _currency(value: Any) -> str:
    try:
        minor_units(str(value))
    except RefusalError as refusal:
        raise wrong(refusal.message) from refusal
    return str(value)


def _zone(value: Any) -> str:
    # Judged by the engine that places local days: Python's own list holds names that would stop it, such as 'Factory'.
    if not isinstance(value, str) or not is_time_zone(value):
        raise wrong(f"{str(value)[:60]!r} is not an IANA time zone such as 'Europe/Berlin'")
    return value


def _number(value: Any, field: str = "") -> Decimal:
    try:
        number = exact(value)
    except RefusalError as refusal:
        raise wrong(refusal.message, field, code=refusal.code if refusal.code == "out_of_range" else "") from refusal
    # abs() would round to the 28 digits of Python's default context.
    if number.copy_abs() >= _LIMIT:
        raise wrong(f"{value} is 10^12 or more", field, code="out_of_range")
    return number


def _amount(value: Any) -> Decimal:
    return _number(value)


def _not_negative(value: Any) -> Decimal:
    number = _number(value)
    if number < 0:
        raise wrong(f"{value} is too small: it must be at least 0")
    return number


def shown_whole(value: Any) -> str:
    """What stands where a whole number is expected, such as ``the text '1'``."""
    if isinstance(value, str):
        return f"the text {value[:40]!r}"
    return str(value).lower() if isinstance(value, bool) else str(value)[:40]


def _whole(value: Any) -> int:
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    # The size first: writing out 1e9999 as a whole number costs what an attacker wants it to cost.
    if not is_number or not 1 <= value <= _LARGEST_WHOLE or value != int(value):
        raise wrong(f"{shown_whole(value)} is not a whole number from 1 to {_LARGEST_WHOLE}")
    return int(value)


def _reads(text: str, shape: re.Pattern[str], read: Callable[[str], object]) -> bool:
    # Python reads 20240131 and 2024-W05-3 too, which those who read the event later do not: hence the shape.
    try:
        read(text)
    except ValueError:
        return False
    return shape.match(text) is not None


def _in_calendar(moment: datetime) -> None:
    if not EARLIEST <= moment <= LATEST:
        raise wrong(f"{moment.isoformat()} lies outside the dates that are billed, {CALENDAR}", code="bad_time")


def _day(value: Any) -> str:
    if not _reads(str(value), _DATE, date.fromisoformat):
        raise wrong(f"{str(value)[:40]!r} is not a date like 2024-01-31")
    _in_calendar(datetime.fromisoformat(str(value)).replace(tzinfo=UTC))
    return str(value)


def _moment(value: Any) -> str:
    text = str(value)
    if _LOCAL.match(text.upper()):
        raise wrong(f"{text[:40]!r} has no offset: end it with Z or +00:00")
    if not (_reads(text, _DATE, date.fromisoformat) or _reads(text.upper(), _INSTANT, datetime.fromisoformat)):
        raise wrong(f"{text[:40]!r} is neither a date nor an RFC 3339 time")
    moment = datetime.fromisoformat(text.upper())
    _in_calendar(moment.replace(tzinfo=moment.tzinfo or UTC))
    return text


def _tax_rate(rate: Any) -> Any:
    """A key of the catalog's taxes, a percentage, or {key?, percent}."""
    percent = rate.get("percent") if isinstance(rate, dict) else rate
    if isinstance(percent, str) and KEY_PATTERN.match(percent) and not _NUMBER.match(percent):
        return rate
    if not 0 <= _number(percent, "percent" if isinstance(rate, dict) else "") <= 100:
        raise wrong(f"{percent} is not a percentage from 0 to 100")
    return rate


def _duration(value: Any) -> str:
    try:
        duration_seconds(value)
    except RefusalError as refusal:
        raise wrong(refusal.message, code=refusal.code if refusal.code == "out_of_range" else "") from refusal
    return str(value)


_TAX_KEY = "(?![0-9.]+(e[0-9]+)?$)[a-z0-9][a-z0-9_.-]{0,62}"
_TAX_RATE: dict[str, Any] = {
    "anyOf": [*number_schema(3, most=100)["anyOf"], {"type": "string", "pattern": f"^{_TAX_KEY}$"}]
}

Text = Annotated[str, PlainValidator(_text), text_schema(r"[^\x00]{1,4096}")]
Key = Annotated[str, PlainValidator(_key), text_schema("[a-z0-9][a-z0-9_.-]{0,62}")]
Name = Annotated[
    str,
    PlainValidator(_name),
    text_schema(f"[^/{UNPRINTABLE}]{{1,128}}"),
]
"""A customer, subscription or wallet key: other people's, any printable text without ``/``."""
Currency = Annotated[str, PlainValidator(_currency), CURRENCY_SCHEMA]
Zone = Annotated[str, PlainValidator(_zone), text_schema("[A-Za-z][A-Za-z0-9_+/-]*")]
Amount = Annotated[Decimal, PlainValidator(_amount), WithJsonSchema(number_schema(12, signed=True))]
NotNegative = Annotated[Decimal, PlainValidator(_not_negative), WithJsonSchema(number_schema(12))]
Whole = Annotated[
    int, PlainValidator(_whole), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": _LARGEST_WHOLE})
]
Day = Annotated[str, PlainValidator(_day), text_schema(_DATE_PATTERN)]
Moment = Annotated[str, PlainValidator(_moment), text_schema(f"{_DATE_PATTERN}|{_instant_pattern('[Tt ]')}")]
"""A date, or an instant with its offset."""
TaxRate = Annotated[
    Any,
    PlainValidator(_tax_rate),
    WithJsonSchema(
        {
            "anyOf": [
                *_TAX_RATE["anyOf"],
                {"type": "object", "required": ["percent"], "properties": {"percent": _TAX_RATE}},
            ]
        }
    ),
]
GraceDuration = Annotated[str, PlainValidator(_duration), DURATION_SCHEMA]


def stated(value: Any) -> Any:
    """A field that is null is one that is not there."""
    return {name: item for name, item in value.items() if item is not None} if isinstance(value, dict) else value
