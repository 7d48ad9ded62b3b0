"""How a meter aggregates stands beside its daily values, for not all of them add up."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0016_daily_usage.sql")


def downgrade() -> None:
    run_sql("0016_down.sql")
