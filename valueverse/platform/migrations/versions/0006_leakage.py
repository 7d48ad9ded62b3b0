"""Leakage flags."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0006_leakage.sql")


def downgrade() -> None:
    run_sql("0006_down.sql")
