"""Wrapped data keys, one row per tenant, data subject and version."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
