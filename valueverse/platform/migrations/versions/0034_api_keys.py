"""API keys over HTTP: an expiry, and functions that list, make, replace and revoke them."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(__file__, "0034_api_keys.sql", "0034_key_functions.sql")
