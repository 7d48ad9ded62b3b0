"""The serving API's functions, the policies behind them, API keys and refresh tokens."""

from valueverse.platform.migrations import migration

revision, down_revision, upgrade, downgrade = migration(
    __file__, "0002_api_walls.sql", "0002_api_billing.sql", "0002_api_sessions.sql"
)
