"""Ends the sessions that outlast their limits, whoever lifted them."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0014_long_sessions.sql")


def downgrade() -> None:
    run_sql("0014_down.sql")
