"""The audit log: entries submitted in the transaction of a change, then put in one order per tenant."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
