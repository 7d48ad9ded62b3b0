"""Durations, currencies and time zones as a catalog writes them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from valueverse.catalog.base import problem
from valueverse.errors import RefusalError
from valueverse.events.validation import is_time_zone
from valueverse.money import minor_units

_DURATION = re.compile(r"(\d{1,6}) (second|minute|hour|day|week)s?\Z")
_LONGEST = timedelta(days=400)


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    match = _DURATION.match(value) if isinstance(value, str) else None
    if match is None:
        raise problem(f"{str(value)[:40]!r} is no duration: write it like '1 day', '12 hours' or '30 minutes'")
    duration = timedelta(**{f"{match[2]}s": int(match[1])})
    if duration > _LONGEST:
        raise problem(f"{value!r} is too long: at most {_LONGEST.days} days")
    return duration


def _seconds(value: timedelta) -> str:
    return f"{int(value.total_seconds())} seconds"


Duration = Annotated[timedelta, BeforeValidator(_duration), PlainSerializer(_seconds)]
"""A fixed stretch of time; '24 hours' and '1 day' are the same."""


def _currency(value: Any) -> Any:
    if isinstance(value, str):
        try:
            minor_units(value)
        except RefusalError as refusal:
            raise problem(refusal.message) from refusal
    return value


CurrencyCode = Annotated[str, BeforeValidator(_currency)]
"""An ISO 4217 code."""


def _time_zone(value: Any) -> Any:
    if isinstance(value, str) and not is_time_zone(value):
        raise problem(f"{value[:60]!r} is not an IANA time zone such as 'UTC' or 'Europe/Berlin'")
    return value


TimeZone = Annotated[str, BeforeValidator(_time_zone)]
