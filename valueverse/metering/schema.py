"""The ``usage`` table: one row per version of a usage event and meter it feeds, at least one per accepted
event."""

from __future__ import annotations

import polars as pl

from valueverse.catalog.history import INSTANT, METERS
from valueverse.schemas.types import EXACT

__all__ = ["INSTANT", "METERS", "QUANTITIES", "USAGE", "WINDOWS"]

USAGE = pl.Schema(
    {
        "tenant": pl.String(),
        "event_date": pl.Date(),
        "time": INSTANT,
        "customer": pl.String(),
        "subscription": pl.String(),
        "event_type": pl.String(),
        "source": pl.String(),
        "id": pl.String(),
        "root_id": pl.String(),
        "received_at": INSTANT,
        "known_until": INSTANT,
        "meter": pl.String(),
        "value": EXACT,
        "text_value": pl.String(),
        "operation": pl.String(),
        "dimensions": pl.String(),
        "status": pl.String(),
    }
)
"""``root_id``: first id of the amendment chain. ``known_until``: when the version that replaced this one
was received; null = current. ``dimensions``: canonical JSON object of texts, '' = the meter has none."""

WINDOWS = pl.Schema(
    {
        "window": pl.UInt32(),
        "tenant": pl.String(),
        "customer": pl.String(),
        "subscription": pl.String(),
        "meter": pl.String(),
        "from": INSTANT,
        "to": INSTANT,
        "full_from": INSTANT,
        "full_to": INSTANT,
        "timezone": pl.String(),
    }
)
"""[from, to) of a billing window, and the full period it lies in. Optional columns: ``catalog_hash`` (which
version of the meter counts; needed when the tenant's catalogs disagree), ``prorate`` Boolean,
``round_prorated`` Int32."""

QUANTITIES = pl.Schema(
    {
        "window": pl.UInt32(),
        "dimensions": pl.String(),
        "quantity": EXACT,
        "prorated_quantity": EXACT,
        "event_count": pl.Int64(),
    }
)

RANGE = 9e19
"""A Decimal(38, 18) holds 20 digits before the point; a total beyond this is left missing, since an
overflow would raise for every tenant."""

OK, NO_METER, NO_VALUE = "ok", "no_meter", "no_value"
TOO_LONG = "too_long"
"""A dimension's value, or one that unique_count tells apart, that no index could hold."""
AWAITING_ORIGINAL, VOID = "awaiting_original", "void"
