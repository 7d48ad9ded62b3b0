"""People of a tenant: who may sign in, in which role, and by which invitation."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__, "0045_people.sql", "0045_people_functions.sql")
