"""What lines of invoices came from: for the command line, and for the API's login."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
