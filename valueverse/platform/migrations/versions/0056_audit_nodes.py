"""Nodes of the audit log's Merkle tree are stored beside its entries."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
