"""What tenants were notified of, and notifications of payments, thresholds and wallets."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
