"""What an invoice's PDF shows beside its document: how it is paid, and the names of the catalog."""

from __future__ import annotations

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
