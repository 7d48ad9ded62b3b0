"""Invoices that are held back because a line has no amount, for status, checks and whoever asks."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
