"""Indexes for joins that had none: lines by the invoice they correct, re-ratings by their invoice."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
