"""The queue of background work: what procrastinate keeps in Postgres, in a schema of its own."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(
    __file__, "0043_queue_schema.sql", "0043_procrastinate.sql", "0043_queue.sql"
)
