"""Tenants that an attempt to build the marts leaves out, by attempt."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
