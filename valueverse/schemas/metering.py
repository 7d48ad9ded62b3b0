"""Frames of metering: usage rows, billing windows, and the quantities of meters in them."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import EXACT, INSTANT, TEXT

USAGE = Contract(
    {
        "tenant": TEXT, "event_date": pl.Date(), "time": INSTANT, "customer": TEXT, "subscription": TEXT,
        "event_type": TEXT, "source": TEXT, "id": TEXT, "root_id": TEXT, "received_at": INSTANT,
        "known_until": INSTANT, "meter": TEXT, "value": EXACT, "text_value": TEXT, "operation": TEXT,
        "dimensions": TEXT, "status": TEXT,
    },
    nullable=("subscription", "known_until", "meter", "value", "text_value", "operation", "customer"),
)  # fmt: skip
"""``root_id``: first id of the amendment chain. ``known_until``: when the version that replaced this one
was received; null = current. ``dimensions``: canonical JSON object of texts, '' = the meter has none."""

USAGE_COUNTS = Contract(
    {"tenant": TEXT, "event_date": pl.Date(), "meter": TEXT, "status": TEXT, "rows": pl.Int64()},
    key=("tenant", "event_date", "meter", "status"),
    nullable=("meter",),
)
"""Rows of usage; ``meter`` null: of events that no meter takes."""

WINDOWS = Contract(
    {
        "window": pl.UInt32(), "tenant": TEXT, "customer": TEXT, "subscription": TEXT, "meter": TEXT, "from": INSTANT,
        "to": INSTANT, "full_from": INSTANT, "full_to": INSTANT, "timezone": TEXT,
    },
    key=("window",),
    nullable=("subscription",),
)  # fmt: skip
"""[from, to) of a billing window, and the full period it lies in. Optional columns: ``catalog_hash`` (which
version of the meter counts; needed when the tenant's catalogs disagree), ``prorate`` Boolean,
``round_prorated`` Int32."""

WINDOW_QUANTITIES = Contract(
    {
        "window": pl.UInt32(), "dimensions": TEXT, "quantity": EXACT, "prorated_quantity": EXACT,
        "event_count": pl.Int64(),
    },
    key=("window", "dimensions"),
    nullable=("quantity", "prorated_quantity"),
)  # fmt: skip
"""What a meter comes to in a window; null: more than a Decimal holds."""

ASKED_USAGE = Contract(
    {
        "tenant": TEXT, "customer": TEXT, "window_start": INSTANT, "window_end": INSTANT, "dimensions": TEXT,
        "quantity": EXACT,
    },
    key=("tenant", "customer", "window_start", "dimensions"),
    nullable=("quantity",),
)  # fmt: skip
"""What a meter comes to in the windows of a question. ``customer`` '': of all together; ``dimensions``: JSON object of
those that were asked for, '' = none were; null: more than a Decimal holds."""

PRORATED_VALUES = Contract(
    {"window": pl.UInt32(), "dimensions": TEXT, "value": EXACT, "prorated": EXACT},
    nullable=("value", "prorated"),
)
"""Event values of meters whose quantity counts by days, and the same by the share of the full period."""

WINDOW_OPENINGS = Contract(
    {"window": pl.UInt32(), "dimensions": TEXT, "value": EXACT, "text_value": TEXT},
    nullable=("value", "text_value"),
)
"""Levels (``value``), or members (``text_value``), at the start of windows."""

DAILY_USAGE = Contract(
    {
        "tenant": TEXT, "customer": TEXT, "subscription": TEXT, "meter": TEXT, "day": pl.Date(), "dimensions": TEXT,
        "quantity": EXACT, "events": pl.Int64(), "aggregation": TEXT,
    },
    key=("tenant", "customer", "subscription", "meter", "day", "dimensions"),
    nullable=("subscription", "meter", "quantity", "aggregation"),
)  # fmt: skip
"""One row per owner, meter, day and dimensions. ``quantity``: of the day's events alone, before the meter's rounding;
null where a day alone has none: a level that is averaged over a period (``weighted_sum``), a set of members that is
carried over, a meter that no catalog has."""
