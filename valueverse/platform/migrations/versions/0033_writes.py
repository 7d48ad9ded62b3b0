"""Writes over HTTP: billing events in the inbox, and the answers that keys of requests were given."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
