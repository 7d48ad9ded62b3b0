"""Whoever keeps answers about invoices is notified when they change."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
