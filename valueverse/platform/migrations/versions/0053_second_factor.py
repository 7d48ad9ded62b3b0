"""A second factor of people, their recovery codes, and passwords that are changed or forgotten."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(
    __file__, "0053_second_factor.sql", "0053_second_factor_functions.sql"
)
