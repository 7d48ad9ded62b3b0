"""Messages in the write-ahead log are not everybody's to write."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0017_messages.sql")


def downgrade() -> None:
    run_sql("0017_down.sql")
