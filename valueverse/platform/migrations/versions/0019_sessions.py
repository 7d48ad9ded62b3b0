"""Sessions of analysts and of the API end when they hold too much memory, a lock or the queue of notifications."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0019_sessions.sql")


def downgrade() -> None:
    run_sql("0019_down.sql")
