"""Orb: events of customers, by its own key of them or by yours; times without offset are UTC."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from valueverse.landing.dialects.exact_json import read_json
from valueverse.landing.dialects.translation import Fields, Names, Translation, listed

if TYPE_CHECKING:
    from datetime import datetime

_NAMES = Names(
    {
        "id": "idempotency_key",
        "subject": "external_customer_id",
        "type": "event_name",
        "time": "timestamp",
        "data": "properties",
    }
)
_OWN = ("external_customer_id", "customer_id")
_WITHOUT_OFFSET = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?", re.ASCII)


def orb_events(body: bytes, _moment: datetime) -> Translation:
    """The events of ``POST /v1/ingest``.

    Raises:
        RefusalError: ``malformed_body``, ``too_many_events``.
    """
    found = Translation(_NAMES)
    for number, one in enumerate(listed(read_json(body), "events")):
        event = Fields(one, number, "idempotency_key", found)
        named = [name for name in _OWN if event.has(name)]
        if len(named) != 1:
            event.refuse(_OWN[0], "exactly one of external_customer_id and customer_id is required")
        time = event.text("timestamp")
        taken = {
            "id": event.text("idempotency_key"),
            "source": "orb",
            "type": event.event_type("event_name"),
            "subject": event.text(named[0]) if len(named) == 1 else "",
            "time": f"{time}Z" if _WITHOUT_OFFSET.fullmatch(time) else time,
            "data": event.flat("properties"),
        }
        found.add(taken, {})
    return found
