"""Tenants that an attempt to build the marts leaves out, by attempt."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0020_left_out.sql")


def downgrade() -> None:
    run_sql("0020_down.sql")
