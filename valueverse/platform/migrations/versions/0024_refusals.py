"""What was not taken or not applied can be asked for: ignored landing files, and rejected billing events in the API."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
