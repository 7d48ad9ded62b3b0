"""Durations, currencies and time zones as a catalog writes them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer

from valueverse.catalog.base import Kind, problem
from valueverse.errors import RefusalError
from valueverse.events.billing_events import duration_seconds
from valueverse.events.validation import is_time_zone
from valueverse.money import minor_units


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    try:
        return timedelta(seconds=duration_seconds(value))
    except RefusalError as refusal:
        kind: Kind = "out_of_range" if refusal.code == "out_of_range" else "refused"
        raise problem(refusal.message, kind=kind) from refusal


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
