"""Identity providers of tenants, and the log-ins by them that are under way."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(
    __file__, "0058_identity_providers.sql", "0058_identity_provider_functions.sql"
)
