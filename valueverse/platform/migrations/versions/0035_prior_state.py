"""What is finalised of one customer, for the engine of builder and API: what its next invoices are billed on."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
