"""Tenants that a stage could not be done for, each with its reason."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
