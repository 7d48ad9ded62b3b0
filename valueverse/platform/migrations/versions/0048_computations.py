"""Simulations and re-ratings that are asked for over HTTP and worked out in the background."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
