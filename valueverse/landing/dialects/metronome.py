"""Metronome: a list of events of customers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from valueverse.landing.dialects.exact_json import read_json
from valueverse.landing.dialects.translation import Fields, Names, Translation, listed

if TYPE_CHECKING:
    from datetime import datetime

_NAMES = Names(
    {"id": "transaction_id", "subject": "customer_id", "type": "event_type", "time": "timestamp", "data": "properties"}
)


def metronome_events(body: bytes, _moment: datetime) -> Translation:
    """The events of ``POST /v1/ingest``.

    Raises:
        RefusalError: ``malformed_body``, ``too_many_events``.
    """
    found = Translation(_NAMES)
    for number, one in enumerate(listed(read_json(body))):
        event = Fields(one, number, "transaction_id", found)
        taken = {
            "id": event.text("transaction_id"),
            "source": "metronome",
            "type": event.event_type("event_type"),
            "subject": event.text("customer_id"),
            "time": event.text("timestamp"),
            "data": event.members("properties"),
        }
        found.add(taken, {})
    return found
