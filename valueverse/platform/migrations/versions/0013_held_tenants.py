"""Tenants that a stage could not be done for, each with its reason."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0013_held_tenants.sql")


def downgrade() -> None:
    run_sql("0013_down.sql")
