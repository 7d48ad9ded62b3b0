"""Typed columns for what an invoice line bills: its fee proposal, and whether it is a difference."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
