"""Portal sessions: customers of a tenant read their own invoices and usage, and nothing else."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__, "0042_portal.sql", "0042_portal_reads.sql")
