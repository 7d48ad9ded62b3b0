"""What came of committed models: metrics, runs, results and fee proposals."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
