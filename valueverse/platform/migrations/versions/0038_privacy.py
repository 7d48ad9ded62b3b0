"""Restrictions, erasures and the evidence of what was done with data about a customer."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
