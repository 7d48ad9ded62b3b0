"""Frames of checks: reproduced invoices, the reconciliation with the lake, flagged usage, and decisions to release."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import EXACT, INSTANT, TEXT

REPRODUCED_INVOICES = Contract(
    {"tenant": TEXT, "number": TEXT, "expected": TEXT, "found": TEXT, "ok": pl.Boolean()},
    key=("tenant", "number"),
    nullable=("found",),
)
"""Hashes of sampled invoices and of those that come out now; ``found`` null: none does."""

FOUND_HASHES = Contract({"tenant": TEXT, "invoice_id": TEXT, "found": TEXT}, key=("tenant", "invoice_id"))
"""Hashes of invoices that were computed again."""

RECONCILIATION = Contract(
    {
        "tenant_id": TEXT, "check_name": TEXT, "period": TEXT, "expected": EXACT, "actual": EXACT,
        "difference": EXACT, "ok": pl.Boolean(), "detail": TEXT,
    },
    key=("tenant_id", "check_name", "period"),
    nullable=("detail",),
)  # fmt: skip
"""One row per tenant, check and month; ``expected`` is what the lake gives, ``actual`` what was booked."""

LEAKAGE_FLAGS = Contract(
    {
        "tenant_id": TEXT, "customer": TEXT, "meter": TEXT, "day": pl.Date(), "reason": TEXT, "expected": EXACT,
        "seen": EXACT, "since": pl.Date(),
    },
    nullable=("expected", "seen", "since"),
)  # fmt: skip
"""``reason``: ``stopped`` (``since``: the first silent day) or ``outside_pattern``."""

RELEASE_DECISIONS = Contract(
    {"tenant": TEXT, "status": TEXT, "reason": TEXT, "month": TEXT}, key=("tenant", "month"), nullable=("reason",)
)
"""Whether a tenant's month is released or held, and why."""


FINDINGS = Contract(
    {"period": TEXT, "tenant": TEXT, "rule": TEXT, "rows": pl.Int64(), "example": TEXT},
    nullable=("period", "tenant", "rows", "example"),
)
"""One row per month, tenant and rule that it breaks. Nulls: the rule could not be judged, whoever's rows and whatever
month is the reason."""

SAMPLED_INVOICES = Contract(
    {
        "tenant": TEXT, "number": TEXT, "invoice_id": TEXT, "content_hash": TEXT, "period_from": INSTANT,
        "period_to": INSTANT, "events_known_at": INSTANT, "finalised_at": INSTANT, "sequence": pl.Int64(),
    },
    key=("tenant", "number"),
    nullable=("events_known_at",),
)  # fmt: skip
"""Finalised invoices that are computed again."""
