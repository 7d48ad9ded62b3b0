"""Data about people over HTTP: restrictions, and tokens of payment instruments."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
