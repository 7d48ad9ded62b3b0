"""A line of ``valueverse meter``, judged (contracts.md, 5)."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PlainValidator, ValidationInfo

from valueverse.documents import error_of, wrong
from valueverse.errors import RefusalError
from valueverse.services.calculators.line_fields import CODES, LinePart, TimeZone
from valueverse.services.instants import read_instant

METER_CODES = {kind: "bad_events" if code == "malformed" else code for kind, code in CODES.items()}
"""Codes of what pydantic finds in a line."""
Window = tuple[datetime, datetime]


def _window(value: Any, info: ValidationInfo) -> Window:
    if not isinstance(value, dict) or "from" not in value or "to" not in value:
        raise wrong("an object with 'from' and 'to' is expected here", code="bad_period")
    bounds = []
    for side in ("from", "to"):
        try:
            bounds.append(read_instant(value[side], str(info.context), ""))
        except RefusalError as refusal:
            raise error_of(refusal, side) from refusal
    start, end = bounds
    if start >= end:
        raise wrong("it ends before it starts: 'to' is exclusive and later", code="bad_period")
    return start, end


def _instant(value: Any, info: ValidationInfo) -> datetime:
    try:
        return read_instant(value, str(info.context), "")
    except RefusalError as refusal:
        raise error_of(refusal) from refusal


def _places(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Decimal) or value not in range(19):
        raise wrong("round_prorated is a number of decimals from 0 to 18", code="bad_proration")
    return int(value)


def _event_id(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | Decimal):
        raise wrong("an event's id is text", code="bad_events")
    return str(value)


def _no_amendment(value: Any) -> None:
    if value is not None:
        message = "amendments are not followed here: give each event as it stands, and leave out what it replaces"
        raise wrong(message, code="bad_events")


Instant = Annotated[datetime, PlainValidator(_instant)]


class MeterEvent(LinePart):
    """A usage event; further attributes are taken and not looked at."""

    model_config = ConfigDict(extra="ignore")

    id: Annotated[str, PlainValidator(_event_id)] = ""
    time: Instant = Field(default=None, validate_default=True)
    received_at: Annotated[datetime | None, PlainValidator(_instant)] = None
    replaces: Annotated[None, PlainValidator(_no_amendment)] = None
    data: dict[str, Any] = Field(default_factory=dict)


class MeterInput(LinePart):
    """A line of ``valueverse meter``; its ``meter`` is judged as a catalog's is, ``prorate`` and ``opening`` by it."""

    id: Any = None
    meter: Any = None
    period: Annotated[Window, PlainValidator(_window)] = Field(default=None, validate_default=True)
    full_period: Annotated[Window, PlainValidator(_window)] | None = None
    timezone: TimeZone = "UTC"
    opening: Any = None
    prorate: Any = None
    round_prorated: Annotated[int, PlainValidator(_places)] | None = None
    events: tuple[MeterEvent, ...] = ()
