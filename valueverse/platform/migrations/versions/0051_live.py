"""Whether a session is open: a stream of events ends with it."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
