"""Webhooks over HTTP: attempts of deliveries, and functions that list, make, change, test and replay."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(
    __file__, "0044_webhook_routes.sql", "0044_webhook_functions.sql"
)
