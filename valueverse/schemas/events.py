"""Frames of events. ``time``: when an event took effect; ``received_at``: when it became known."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import INSTANT, TEXT

REJECTED_EVENTS = Contract(
    {
        "tenant": TEXT, "source": TEXT, "event_id": TEXT, "type": TEXT, "reason": TEXT, "message": TEXT,
        "event_time": INSTANT,
    },
    key=("tenant", "source", "event_id"),
    nullable=("type", "event_time"),
)  # fmt: skip

"""Billing events that could not be applied, with the reason."""

EVENTS = Contract(
    {
        "tenant": TEXT, "source": TEXT, "id": TEXT, "type": TEXT, "subject": TEXT, "customer": TEXT,
        "subscription": TEXT, "time": INSTANT, "event_date": pl.Date(), "data": TEXT, "replaces": TEXT,
        "received_at": INSTANT, "payload_hash": TEXT, "file": TEXT, "line": pl.Int64(),
    },
    key=("tenant", "source", "id"),
    nullable=("subject", "customer", "subscription", "data", "replaces"),
)  # fmt: skip
"""Accepted events, append only. ``data`` is JSON text, null voids; ``event_date`` is the UTC date of ``time``."""

FOUND_EVENTS = Contract(
    {
        "source": TEXT, "id": TEXT, "type": TEXT, "customer": TEXT, "subscription": TEXT, "time": INSTANT,
        "status": TEXT, "reason": TEXT, "message": TEXT, "path": TEXT,
    },
    nullable=("source", "id", "type", "customer", "subscription", "time", "reason", "message", "path"),
)  # fmt: skip
"""Events of one tenant's request and what was found of them: ``accepted``, ``duplicate`` or ``refused``."""

QUARANTINE = Contract(
    {
        "tenant": TEXT, "source": TEXT, "id": TEXT, "type": TEXT, "file": TEXT, "file_hash": TEXT, "line": pl.Int64(),
        "reason": TEXT, "message": TEXT, "path": TEXT, "raw": TEXT, "received_at": INSTANT,
        "received_date": pl.Date(),
    },
    nullable=("tenant", "source", "id", "type", "path"),
)  # fmt: skip
"""Lines that were refused, with the reason (docs/formats.md), where in the line, and the line itself."""

BILLING_FACTS = Contract(
    {
        "tenant": TEXT, "type": TEXT, "time": INSTANT, "received_at": INSTANT, "source": TEXT, "id": TEXT,
        "replaces": TEXT, "known_until": INSTANT, "subject": TEXT, "data": TEXT,
    },
    key=("tenant", "source", "id"),
    nullable=("replaces", "known_until", "subject", "data"),
)  # fmt: skip
"""Billing events with amendments resolved: as known at T = received_at <= T and (known_until null or > T)."""

PARSED_LINES = Contract(
    {
        "line": pl.Int64(), "raw": TEXT, "specversion": TEXT, "id": TEXT, "source": TEXT, "type": TEXT,
        "subject": TEXT, "time": TEXT, "tenant": TEXT, "replaces": TEXT, "data": TEXT, "reason": TEXT,
        "message": TEXT, "path": TEXT,
    },
    key=("line",),
    nullable=(
        "raw", "specversion", "id", "source", "type", "subject", "time", "tenant", "replaces", "data", "reason",
        "message", "path",
    ),
)  # fmt: skip
"""One row per line: attributes as text, ``data`` as JSON text (null where null or absent), or why it is refused.

``raw`` is the line as it came; null for a row of a table, of which ``with_raw`` makes a line.
"""
