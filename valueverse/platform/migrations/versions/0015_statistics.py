"""Statistics by the builder, who knows when it has written much; outcome lines by the proposal that they bear."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0015_statistics.sql")


def downgrade() -> None:
    run_sql("0015_down.sql")
