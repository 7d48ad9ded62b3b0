"""Frames of usage accounting: every usage event is billed, or unbilled with one reason."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import EXACT, TEXT

UNBILLED_USAGE = Contract(
    {
        "tenant": TEXT, "day": pl.Date(), "reason": TEXT, "customer": TEXT, "meter": TEXT, "events": pl.Int64(),
        "quantity": EXACT,
    },
    nullable=("customer", "meter", "quantity"),
)  # fmt: skip
"""Unbilled usage by day, reason, customer and meter."""

EVENT_DAYS = Contract(
    {"tenant": TEXT, "day": pl.Date(), "accepted": pl.Int64(), "billed": pl.Int64(), "unbilled": pl.Int64()},
    key=("tenant", "day"),
)
"""Usage events by day: accepted = billed + unbilled."""

ACCOUNTED_MONTHS = Contract({"tenant": TEXT, "month": pl.Date(), "inputs": TEXT}, key=("tenant", "month"))
"""What the rows of a tenant's month were worked out from; equal inputs give equal rows."""

UNPLACED_CUSTOMERS = Contract(
    {"tenant": TEXT, "month": pl.Date(), "customer": TEXT}, key=("tenant", "month", "customer")
)
"""Customers whose usage of a month met no subscription."""
