"""Ends the sessions that outlast their limits, whoever lifted them."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
