"""How a meter aggregates stands beside its daily values, for not all of them add up."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
