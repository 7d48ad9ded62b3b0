"""The chain of what was done to commits; the order in which runs were written."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0009_deeds.sql")


def downgrade() -> None:
    run_sql("0009_down.sql")
