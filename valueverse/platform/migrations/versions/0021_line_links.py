"""Typed columns for what an invoice line bills: its fee proposal, and whether it is a difference."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0021_line_links.sql")


def downgrade() -> None:
    run_sql("0021_down.sql")
