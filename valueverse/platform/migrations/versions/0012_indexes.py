"""Indexes for joins that had none: lines by the invoice they correct, re-ratings by their invoice."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0012_indexes.sql")


def downgrade() -> None:
    run_sql("0012_down.sql")
