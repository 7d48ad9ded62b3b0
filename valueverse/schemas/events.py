"""Frames of events. ``time``: when an event took effect; ``received_at``: when it became known."""

from __future__ import annotations

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import INSTANT, TEXT

REJECTED_EVENTS = Contract(
    {
        "tenant": TEXT,
        "source": TEXT,
        "event_id": TEXT,
        "type": TEXT,
        "reason": TEXT,
        "message": TEXT,
        "event_time": INSTANT,
    },
    key=("tenant", "source", "event_id"),
)
"""Billing events that could not be applied, with the reason."""
