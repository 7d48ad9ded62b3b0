"""Frames of operations: which tenant is held in which stage, and which months were accounted for."""

from __future__ import annotations

import polars as pl

from valueverse.schemas.contract import Contract
from valueverse.schemas.types import INSTANT, TEXT

HELD_TENANTS = Contract(
    {
        "tenant": TEXT, "stage": TEXT, "first": pl.Date(), "last": pl.Date(), "code": TEXT, "message": TEXT,
        "since": INSTANT, "attempts": pl.Int32(), "run_id": TEXT,
    }
)  # fmt: skip
"""One row per tenant, stage and reason: the first and last partition that is held for it, and since when."""

HELD_PARTITIONS = Contract(
    {
        "tenant": TEXT, "stage": TEXT, "period": pl.Date(), "code": TEXT, "message": TEXT, "attempts": pl.Int32(),
    },
    key=("tenant", "stage", "period"),
)  # fmt: skip
"""One row per tenant, stage and partition (its first day) that is held."""

AUDIT_ENTRIES = Contract(
    {"tenant": TEXT, "sequence": pl.Int64(), "entry": TEXT, "chain_hash": TEXT}, key=("tenant", "sequence")
)
"""Entries of the audit log: canonical JSON, and the chain's hash after it as Postgres writes bytes (hex)."""

AUDIT_FINDINGS = Contract({"tenant": TEXT, "layer": TEXT, "sequence": pl.Int64(), "reason": TEXT})
"""What does not hold in an audit log; ``layer``: entry, chain or checkpoint."""
