"""Voids count from the billing run that recorded them, in every answer of then; booked lines with their service."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__)
