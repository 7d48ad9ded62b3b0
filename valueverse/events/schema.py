"""Frames of accepted and of quarantined events. ``time``: when it took effect, ``received_at``: when we knew."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.types import INSTANT

EVENTS = pl.Schema(
    {
        "tenant": pl.String(),
        "source": pl.String(),
        "id": pl.String(),
        "type": pl.String(),
        "subject": pl.String(),
        "customer": pl.String(),
        "subscription": pl.String(),
        "time": INSTANT,
        "event_date": pl.Date(),
        "data": pl.String(),
        "replaces": pl.String(),
        "received_at": INSTANT,
        "payload_hash": pl.String(),
        "file": pl.String(),
        "line": pl.Int64(),
    }
)
"""Accepted events, append only. ``data`` is JSON text, null voids; ``event_date`` is the UTC date of ``time``."""

QUARANTINE = pl.Schema(
    {
        "tenant": pl.String(),
        "source": pl.String(),
        "id": pl.String(),
        "type": pl.String(),
        "file": pl.String(),
        "file_hash": pl.String(),
        "line": pl.Int64(),
        "reason": pl.String(),
        "message": pl.String(),
        "path": pl.String(),
        "raw": pl.String(),
        "received_at": INSTANT,
        "received_date": pl.Date(),
    }
)
"""Lines that were refused, with the reason (closed list below), where in the line, and the line itself."""

REASONS = (
    "malformed",
    "missing_attribute",
    "bad_time",
    "too_far_future",
    "unknown_tenant",
    "conflict",
    "inexact_number",
    "out_of_range",
    "bad_billing_event",
    "too_long",
    "unreadable_file",
)
"""Closed list. ``unreadable_file`` is the whole file's, as one refused line 0."""

BILLING_FACTS = pl.Schema(
    {
        "tenant": pl.String(),
        "type": pl.String(),
        "time": INSTANT,
        "received_at": INSTANT,
        "source": pl.String(),
        "id": pl.String(),
        "replaces": pl.String(),
        "known_until": INSTANT,
        "subject": pl.String(),
        "data": pl.String(),
    }
)
"""Billing events with amendments resolved: as known at T = received_at <= T and (known_until null or > T)."""
