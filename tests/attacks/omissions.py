"""The migrations run without one of their statements that shuts something."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from alembic import op

from tests.attacks.mutants import Mutant
from tests.attacks.trials import Verdict, open_attacks
from valueverse.platform import migrations, warehouse
from valueverse.platform.access import manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

_SQL = Path(migrations.__file__).parent / "sql"
_SHUTS = re.compile(
    r"\s*(revoke|alter default privileges[^;]*revoke|create policy|create event trigger"
    r"|alter (table|view)[^;]*(row level|owner to|enable always"
    r"|security_invoker)|do \$\$.*(revoke|policy|enable always|trigger))",
    re.IGNORECASE | re.DOTALL,
)


def statements(text: str) -> list[str]:
    """Statements of a file, with the text between them; what stands in dollar quotes is one piece."""
    return re.findall(r"(?:\$\$.*?\$\$|--[^\n]*|[^;$])*;", text, re.DOTALL)


def omissions(settings: Settings) -> Iterator[Verdict]:
    """One migrated database per statement left out; the same database means that another statement says it too."""
    run = migrations.run_sql
    try:
        for path in sorted(_SQL.glob("*.sql")):
            if path.stem.endswith("_down"):
                continue
            for one in statements(path.read_text(encoding="utf-8")):
                bare = re.sub(r"--[^\n]*\n", "", one)
                if _SHUTS.match(bare):
                    yield _migrated(settings, path, one, Mutant("omission", f"{path.name}: {' '.join(bare.split())}"))
    finally:
        migrations.run_sql = run


def _migrated(settings: Settings, path: Path, one: str, mutant: Mutant) -> Verdict:
    def without(name: str) -> None:
        text = (_SQL / name).read_text(encoding="utf-8")
        with closing(op.get_bind().connection.cursor()) as cursor:
            cursor.execute(text.replace(one, "", 1) if name == path.name else text)

    migrations.run_sql = without
    own = settings.model_copy(update={"database": "omission"})
    try:
        warehouse.upgrade(own)
        with warehouse.connect(own, "admin") as admin:
            found = open_attacks(admin)
            row = admin.execute(manifest.QUERY.encode()).fetchone()
    except psycopg.Error as error:
        return Verdict(mutant, f"the migrations fail: {error}", "the migrations fail")
    finally:
        warehouse.drop_database(own, own.database)
    same = row is not None and not found
    return Verdict(
        mutant,
        found[0] if found else "the same database: stated elsewhere too",
        "" if not same else "the same database",
    )
