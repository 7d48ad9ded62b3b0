"""What came of committed models: metrics, runs, results and fee proposals."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0008_realisation.sql")


def downgrade() -> None:
    run_sql("0008_down.sql")
