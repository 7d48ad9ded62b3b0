"""A watermark of what is finalised of one customer: answers about its next invoices are stored by it."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
