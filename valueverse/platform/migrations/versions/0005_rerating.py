"""Applied re-rating plans."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0005_rerating.sql")


def downgrade() -> None:
    run_sql("0005_down.sql")
