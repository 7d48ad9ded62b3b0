"""Partitions of marts lie in a schema of their own, where no analyst looks."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
