"""Signed checkpoints beside the log, a channel that the API alone knows, and sessions that name their request."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
