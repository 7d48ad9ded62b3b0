"""Uses of API keys are audited, links to the portal end with their maker's role, and sessions say when they end."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
