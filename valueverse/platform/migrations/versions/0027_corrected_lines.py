"""Lines that correct an invoice are found without a scan of all of its tenant's."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
