"""Commits of value models over HTTP: what the API's login and the builder's read and write of a tenant's commits."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
