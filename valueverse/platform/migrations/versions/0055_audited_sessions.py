"""Sessions that go on and end, refused keys and log-ins, and exports are in the audit log."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
