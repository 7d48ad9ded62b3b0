"""Schema of the warehouse, step by step; each step is one file in ``versions`` and its SQL in ``sql``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from alembic import op


def run_sql(name: str) -> None:
    """Run a file of ``migrations/sql`` in the migration's transaction, as it stands: nothing in it is a
    parameter."""
    text = (Path(__file__).parent / "sql" / name).read_text(encoding="utf-8")
    with closing(op.get_bind().connection.cursor()) as cursor:
        cursor.execute(text)
