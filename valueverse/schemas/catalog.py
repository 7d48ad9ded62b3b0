"""Frames of catalogs over time: which documents, plans and meters hold for a tenant at an instant."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import INSTANT, TEXT

CATALOG_VERSIONS = Contract(
    {"tenant": TEXT, "catalog_hash": TEXT, "effective_at": INSTANT, "received_at": INSTANT},
    key=("tenant", "effective_at"),
)
"""One row per publication of a catalog."""

PLAN_VERSIONS = Contract(
    {
        "tenant": TEXT, "plan": TEXT, "version": pl.Int32(), "catalog_hash": TEXT, "effective_at": INSTANT,
        "currency": TEXT, "timezone": TEXT, "every": pl.Int32(), "unit": TEXT, "align": TEXT,
        "trial_days": pl.Int32(), "grace_seconds": pl.Int64(), "counted_fees": pl.List(pl.String),
    },
    key=("tenant", "plan", "version", "catalog_hash", "effective_at"),
)  # fmt: skip
"""One row per publication and plan version in it. ``counted_fees``: keys of the fees that are a unit amount times a
quantity."""

METER_VERSIONS = Contract(
    {
        "tenant": TEXT, "catalog_hash": TEXT, "meter": TEXT, "event_type": TEXT, "aggregation": TEXT,
        "carry_over": pl.Boolean(), "rounding_mode": TEXT, "rounding_places": pl.Int32(), "valid_from": INSTANT,
        "valid_to": INSTANT,
    },
    key=("tenant", "meter", "catalog_hash", "valid_from"),
    nullable=("rounding_mode", "rounding_places", "valid_to"),
)  # fmt: skip
"""One row per publication and meter in it, which decides about events of [``valid_from``, ``valid_to``); null:
still."""

PLAN_DOCUMENTS = Contract(
    {"catalog_hash": TEXT, "plan": TEXT, "version": pl.Int32(), "document": TEXT},
    key=("catalog_hash", "plan", "version"),
)
"""Plan versions as their catalogs state them (JSON text)."""
