"""What became of one event, for the API and for ``valueverse explain event``."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
