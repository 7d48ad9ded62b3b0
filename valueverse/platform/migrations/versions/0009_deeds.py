"""The chain of what was done to commits; the order in which runs were written."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
