"""Schema of the warehouse, step by step; each step is one file in ``versions`` and its SQL in ``sql``."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from alembic import op

if TYPE_CHECKING:
    from collections.abc import Callable


def migration(file: str, *names: str) -> tuple[str, str | None, Callable[[], None], Callable[[], None]]:
    """``revision``, ``down_revision``, ``upgrade`` and ``downgrade`` of a file in ``versions``.

    Args:
        file: its path: ``<number>_<subject>.py``; it follows the one with the number before.
        names: files of ``sql`` in the order in which an upgrade runs them; none: ``<number>_<subject>.sql``. A
            downgrade runs ``<number>_down.sql``.
    """
    stem = Path(file).stem
    number = stem[:4]
    before = int(number) - 1

    def upgrade() -> None:
        for name in names or (f"{stem}.sql",):
            run_sql(name)

    def downgrade() -> None:
        run_sql(f"{number}_down.sql")

    return number, f"{before:04}" if before else None, upgrade, downgrade


def run_sql(name: str) -> None:
    """Run a file of ``migrations/sql`` in the migration's transaction, as it stands: nothing in it is a
    parameter."""
    text = (Path(__file__).parent / "sql" / name).read_text(encoding="utf-8")
    with closing(op.get_bind().connection.cursor()) as cursor:
        cursor.execute(text)
