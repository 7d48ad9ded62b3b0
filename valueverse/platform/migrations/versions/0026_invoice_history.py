"""What became of an invoice since it was issued can be asked for, and whether a subscription ever had overrides."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
