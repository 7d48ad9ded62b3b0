"""The warehouse: schemas, billing tables, the guard of row-level security, immutability."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(
    __file__, "0001_schemas.sql", "0001_guard.sql", "0001_billing.sql", "0001_immutability.sql", "0001_grants.sql"
)
