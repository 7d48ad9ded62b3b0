"""Payment instruments as random tokens; what they stand for is sealed."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
