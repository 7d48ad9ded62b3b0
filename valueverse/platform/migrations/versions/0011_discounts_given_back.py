"""Discounts that are given back: a threshold invoice's coupon where usage fell afterwards."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    run_sql("0011_discounts_given_back.sql")


def downgrade() -> None:
    run_sql("0011_down.sql")
