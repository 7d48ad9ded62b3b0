"""Runs of commits and fee proposals over HTTP: what the API's login and the builder's read and write of them."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
