"""Receipts of events in the audit log, and its entries by what they are about."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
