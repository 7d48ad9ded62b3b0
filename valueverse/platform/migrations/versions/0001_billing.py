"""The warehouse: schemas, billing tables, the guard of row-level security, immutability."""

from __future__ import annotations

from valueverse.platform.migrations import run_sql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in (
        "0001_schemas.sql",
        "0001_guard.sql",
        "0001_billing.sql",
        "0001_immutability.sql",
        "0001_grants.sql",
    ):
        run_sql(name)


def downgrade() -> None:
    run_sql("0001_down.sql")
