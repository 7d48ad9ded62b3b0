"""What documents of invoices show beside them, as it was known at an instant."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
