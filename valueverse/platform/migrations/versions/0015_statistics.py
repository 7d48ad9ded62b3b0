"""Statistics by the builder, who knows when it has written much; outcome lines by the proposal that they bear."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
