"""Endpoints that tenants are notified at, and the notifications that wait or were delivered."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
