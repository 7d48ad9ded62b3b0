"""What invoices use up of coupons, credit notes and wallets; adjustments; invoices in the place of voided ones."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0003_settlement.sql")


def downgrade() -> None:
    run_sql("0003_down.sql")
