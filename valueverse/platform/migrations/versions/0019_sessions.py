"""Sessions of analysts and of the API end when they hold too much memory, a lock or the queue of notifications."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
