"""Credits owed again."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0010_credits_owed_again.sql")


def downgrade() -> None:
    run_sql("0010_down.sql")
