"""A link to the portal for a customer whom an event has created that no billing run has recorded yet."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
