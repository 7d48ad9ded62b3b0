"""Stripe: meter events, as forms (v1) and as JSON (v2); whatever they measure is text."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from valueverse.dates import utc_text
from valueverse.errors import RefusalError
from valueverse.landing.dialects.exact_json import read_json
from valueverse.landing.dialects.translation import Fields, Names, Translation, listed

if TYPE_CHECKING:
    from datetime import datetime

_SOURCE = "stripe"
_CUSTOMER = "stripe_customer_id"
_NAMES = Names(
    {
        "id": "identifier",
        "subject": f"payload.{_CUSTOMER}",
        "type": "event_name",
        "time": "timestamp",
        "data": "payload",
    }
)
MOST_STREAMED = 100
"""Events of one request to the stream."""
_MOST_FIELDS = 1_000
_NAME = re.compile(r"([a-z_]+)(?:\[([^\[\]]+)\])?")


def stripe_form(body: bytes, moment: datetime, key: str | None) -> Translation:
    """The event of ``POST /v1/billing/meter_events``.

    Args:
        body: as HTML forms send it.
        moment: when it was received: the time of an event without one.
        key: the request's Idempotency-Key: names an event without identifier.

    Raises:
        RefusalError: ``malformed_body``.
    """
    given = _form(body, {"event_name", "payload", "identifier", "timestamp"})
    found = Translation(_NAMES)
    _add(found, 0, given, moment, key)
    return found


def stripe_event(body: bytes, moment: datetime, key: str | None) -> Translation:
    """The event of ``POST /v2/billing/meter_events``; arguments and refusals as ``stripe_form``."""
    found = Translation(_NAMES)
    _add(found, 0, read_json(body), moment, key)
    return found


def stripe_stream(body: bytes, moment: datetime, key: str | None) -> Translation:
    """The events of ``POST /v2/billing/meter_event_stream``.

    Raises:
        RefusalError: ``malformed_body``, ``too_many_events``.
    """
    events = listed(read_json(body), "events")
    if len(events) > MOST_STREAMED:
        raise RefusalError("too_many_events", f"at most {MOST_STREAMED} events are sent at once", "events")
    found = Translation(_NAMES)
    for number, one in enumerate(events):
        _add(found, number, one, moment, f"{key}/{number}" if key else None)
    return found


def stripe_form_adjustment(body: bytes, moment: datetime) -> Translation:
    """The event that voids the one that ``POST /v1/billing/meter_event_adjustments`` cancels; refuses as the others."""
    return _cancelled(_form(body, {"event_name", "type", "cancel"}), moment)


def stripe_adjustment(body: bytes, moment: datetime) -> Translation:
    """As ``stripe_form_adjustment``, of ``POST /v2/billing/meter_event_adjustments``."""
    return _cancelled(read_json(body), moment)


def _add(found: Translation, number: int, given: Any, moment: datetime, key: str | None) -> None:
    event = Fields(given, number, "identifier", found)
    payload = event.flat("payload")
    customer = event.text_in("payload", _CUSTOMER)
    name, time = event.event_type("event_name"), event.unix("timestamp", moment)
    taken = {
        "id": event.optional("identifier") or key or str(uuid.uuid4()),
        "source": _SOURCE,
        "type": name,
        "subject": customer,
        "time": time,
        "data": {member: value for member, value in payload.items() if member != _CUSTOMER},
    }
    found.add(taken, {"event_name": name, "identifier": taken["id"], "payload": payload, "timestamp": time})


def _cancelled(given: Any, moment: datetime) -> Translation:
    found = Translation(Names({"id": "cancel.identifier", "replaces": "cancel.identifier", "type": "event_name"}))
    event = Fields(given, 0, "identifier", found)
    if event.text("type") not in {"", "cancel"}:
        event.refuse("type", "must be cancel")
    name = event.event_type("event_name")
    identifier = event.text_in("cancel", "identifier")
    voiding = {"id": f"{identifier}/cancel", "source": _SOURCE, "type": name, "time": utc_text(moment)}
    found.add(
        voiding | {"replaces": identifier, "data": None},
        {"event_name": name, "type": "cancel", "cancel": {"identifier": identifier}, "status": "pending"},
    )
    return found


def _form(body: bytes, known: set[str]) -> dict[str, Any]:
    """The fields of a form, ``payload[value]`` as the member of an object.

    Raises:
        RefusalError: ``malformed_body``, with the field's name as path.
    """
    try:
        pairs = parse_qsl(body.decode(), True, True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise RefusalError("malformed_body", f"the body is no form: {error}", "body") from error
    found: dict[str, Any] = {}
    for name, value in pairs:
        parts = _NAME.fullmatch(name)
        if parts is None or parts[1] not in known:
            if parts is not None and parts[1] == "expand":
                continue
            raise RefusalError("malformed_body", f"Received unknown parameter: {name[:60]}", name[:60])
        place, member = (found, parts[1]) if parts[2] is None else (found.setdefault(parts[1], {}), parts[2])
        if not isinstance(place, dict) or member in place:
            raise RefusalError("malformed_body", f"Received a parameter twice: {name[:60]}", name[:60])
        place[member] = value
    return found
