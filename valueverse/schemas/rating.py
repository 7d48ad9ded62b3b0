"""Frames of rating: prices of numbered charges, and the numbered lines that they are applied to."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import EXACT, TEXT

CHARGE_PRICES = Contract(
    {
        "charge": pl.UInt32(), "model": TEXT, "divide_by": EXACT, "multiply_by": EXACT, "convert_round": TEXT,
        "included": EXACT, "discount_percent": EXACT, "minimum": EXACT, "maximum": EXACT, "rounding_mode": TEXT,
        "rounding_level": TEXT, "unit": EXACT, "size": EXACT, "package_amount": EXACT, "free": EXACT,
        "package_round": TEXT, "rate": EXACT, "fixed": EXACT, "free_events": pl.Int64(), "free_amount": EXACT,
        "min_per_event": EXACT, "max_per_event": EXACT, "per_event": pl.Boolean(), "bill_flat_at_zero": pl.Boolean(),
    },
    key=("charge",),
    nullable=(
        "divide_by", "multiply_by", "minimum", "maximum", "unit", "size", "package_amount", "free", "package_round",
        "rate", "fixed", "free_events", "free_amount", "min_per_event", "max_per_event", "bill_flat_at_zero",
    ),
)  # fmt: skip
"""The price of each charge; what its model has not is null."""

PRICE_TIERS = Contract(
    {
        "charge": pl.UInt32(), "tier": pl.Int32(), "lower": EXACT, "upper": EXACT, "unit": EXACT, "flat": EXACT,
        "per": EXACT, "cap": EXACT,
    },
    key=("charge", "tier"),
    nullable=("upper", "per", "cap"),
)  # fmt: skip
"""Units in (lower, upper]; upper null = open. ``unit`` is per ``per`` units where that is given, and in percent for
graduated_percentage."""

MATRIX_PRICES = Contract(
    {"charge": pl.UInt32(), "dimensions": TEXT, "unit": EXACT},
    key=("charge", "dimensions"),
)
"""Unit prices of matrix charges; ``dimensions``: canonical JSON text."""

CAPACITY_LIMITS = Contract(
    {"charge": pl.UInt32(), "tier": pl.Int32(), "meter": TEXT, "limit": EXACT},
    key=("charge", "tier", "meter"),
)
"""How much of each meter a capacity tier holds; a meter without a row is not limited."""

CAPACITY_AMOUNTS = Contract(
    {"charge": pl.UInt32(), "tier": pl.Int32(), "amount": EXACT},
    key=("charge", "tier"),
)
"""What each capacity tier costs."""

LINES_TO_RATE = Contract(
    {
        "line": pl.UInt32(), "charge": pl.UInt32(), "quantity": EXACT, "prorated_quantity": EXACT,
        "decimals": pl.Int8(), "used_days": pl.Int32(), "full_days": pl.Int32(), "billed_quantity": EXACT,
        "billed_amount": EXACT, "final": pl.Boolean(),
    },
    key=("line",),
    nullable=("prorated_quantity", "used_days", "full_days"),
)  # fmt: skip
"""Lines before they are priced; ``rating.engine.rate`` takes them with fewer columns, or with more."""

TIER_AMOUNTS = Contract(
    {
        "line": pl.UInt32(), "tier": pl.Int32(), "from": EXACT, "to": EXACT, "quantity": EXACT, "unit": EXACT,
        "flat": EXACT, "amount": EXACT,
    },
    key=("line", "tier"),
    nullable=("to", "amount"),
)  # fmt: skip
"""What a line comes to in each tier that it reaches; ``to`` null = open."""

LINE_AMOUNTS = Contract({"line": pl.UInt32(), "amount": EXACT}, key=("line",), nullable=("amount",))
"""Precise amounts; null: out of range, or without a price."""

RATED_EVENTS = Contract(
    {"line": pl.UInt32(), "value": EXACT, "prorated": EXACT, "amount": EXACT, "dimensions": TEXT},
    nullable=("prorated", "amount", "dimensions", "value"),
)
"""Events of lines whose model prices each event, in time order within a line. ``amount``: of dynamic prices;
``dimensions``: of matrix prices."""

METER_QUANTITIES = Contract(
    {"line": pl.UInt32(), "meter": TEXT, "quantity": EXACT},
    key=("line", "meter"),
)
"""Quantities of lines of capacity charges, which read several meters."""

BUCKET_QUANTITIES = Contract({"line": pl.UInt32(), "quantity": EXACT, "minute": pl.Int32()}, nullable=("minute",))
"""One row per bucket of a bucketed line; ``minute``: local minute of the day, null where prices do not ask for it."""
