"""An index of invoices by subscription and begin of period: what stands beside an invoice of the same period."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
