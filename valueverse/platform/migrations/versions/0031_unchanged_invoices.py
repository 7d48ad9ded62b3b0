"""Invoices that were recomputed without a change, and which corrections an invoice's history names."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
