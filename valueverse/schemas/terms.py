"""The terms that subscriptions are billed on, as frames: a numbered set per distinct plan version and override."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import EXACT, TEXT

PLAN_FEES = Contract(
    {
        "terms": pl.UInt32(), "fee": TEXT, "label": TEXT, "position": pl.Int32(), "amount": EXACT,
        "unit_amount": EXACT, "quantity": EXACT, "timing": TEXT, "prorate": TEXT,
    },
    nullable=("amount", "unit_amount", "quantity"),
)  # fmt: skip
"""Fees of each set of terms, in the order (``position``) in which the plan lists them."""

PLAN_CHARGES = Contract(
    {
        "terms": pl.UInt32(), "charge": pl.UInt32(), "key": TEXT, "description": TEXT, "position": pl.Int32(),
        "meter": TEXT, "split_by": pl.List(pl.String), "across_segments": pl.Boolean(),
    },
    key=("charge",),
    nullable=("meter",),
)  # fmt: skip
"""Charges of each set of terms; ``charge``: their number in the price book."""

CHARGE_METERS = Contract(
    {
        "terms": pl.UInt32(), "charge": pl.UInt32(), "meter": TEXT, "specificity": pl.UInt32(),
        "prorate": pl.Boolean(), "round_prorated": pl.Int32(),
    },
    key=("charge", "meter"),
    nullable=("round_prorated",),
)  # fmt: skip
"""Which charge may take usage of which meter; a capacity charge reads several."""

CHARGE_CONDITIONS = Contract(
    {
        "terms": pl.UInt32(), "meter": TEXT, "charge": pl.UInt32(), "name": TEXT, "value": TEXT,
    }
)  # fmt: skip
"""Values that a dimension (``name``) must have for a charge to take usage of a meter."""

INVOICING_POLICIES = Contract(
    {
        "terms": pl.UInt32(), "rounding_mode": TEXT, "rounding_level": TEXT, "zero_invoices": TEXT,
        "grace_seconds": pl.Int64(), "commitment": EXACT, "threshold": EXACT, "hold_reason": TEXT,
    },
    key=("terms",),
    nullable=("commitment", "threshold", "hold_reason"),
)  # fmt: skip
"""What each set of terms says about whole invoices; ``commitment`` and ``threshold``: major units."""

PLAN_TAXES = Contract({"terms": pl.UInt32(), "key": TEXT, "taxes": TEXT}, key=("terms", "key"))
"""Tax keys joined by ',' that a fee or charge (``key``), or the plan itself (key ''), states; only where it does."""
