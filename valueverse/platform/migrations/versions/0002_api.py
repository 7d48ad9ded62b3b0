"""The serving API's functions, the policies behind them, API keys and refresh tokens."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("0002_api_walls.sql", "0002_api_billing.sql", "0002_api_sessions.sql"):
        run_sql(name)


def downgrade() -> None:
    run_sql("0002_down.sql")
