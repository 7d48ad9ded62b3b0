"""Committed value models and their approvals."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0007_commits.sql")


def downgrade() -> None:
    run_sql("0007_down.sql")
