"""An index of invoices by subscription and begin of period: what stands beside an invoice of the same period."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0018_periods.sql")


def downgrade() -> None:
    run_sql("0018_down.sql")
