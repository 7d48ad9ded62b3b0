"""Deliveries of webhooks and mails to people are jobs of the queue, put in by whatever makes them wait."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
