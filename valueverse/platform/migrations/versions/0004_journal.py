"""The journal: balanced entries that are only ever added."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0004_journal.sql")


def downgrade() -> None:
    run_sql("0004_down.sql")
