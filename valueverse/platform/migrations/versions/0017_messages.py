"""Messages in the write-ahead log are not everybody's to write."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
