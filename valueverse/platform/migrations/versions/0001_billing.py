"""The warehouse: schemas, billing tables, the guard of row-level security, immutability."""

from __future__ import annotations

from alembic import op

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
    op.execute("drop event trigger if exists valueverse_guard")
    for schema in (
        "api",
        "marts",
        "intermediate",
        "staging",
        "auth",
        "value",
        "audit",
        "inbox",
        "billing",
        "guard",
    ):
        op.execute(f"drop schema if exists {schema} cascade")
    for role in ("valueverse_owner", "valueverse_builder", "valueverse_reader"):
        op.execute(f"alter default privileges for role {role} grant execute on functions to public")
