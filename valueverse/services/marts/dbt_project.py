"""dbt, prepared: its manifest for the code location, and its way into the warehouse."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg.conninfo import conninfo_to_dict

from valueverse.errors import RefusalError
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from valueverse.platform.settings import Settings

PROJECT = Path(__file__).parents[3] / "dbt_project"
DBT = str(PROJECT / "dbt.sh")
"""The program that Dagster starts: dbt on the parsed project."""
PARSED = "partial_parse.msgpack"
"""dbt's name for the parsed project, beside its manifest."""
_SOURCES = ("*.sql", "*.yml", "*.csv")
_GENERATED = {"target", "logs", "dbt_packages"}
_RELATIONS = """
select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v')"""


def manifest(project: Path = PROJECT) -> Path:
    """Path of the manifest of the current project; parsed again only after a source has changed.

    Web server, daemon and tests load the code location at the same time: the first parses, the others wait.

    Raises:
        RefusalError: ``dbt_parse``, with the output of dbt.
    """
    target = project / "target" / "dagster"
    target.mkdir(parents=True, exist_ok=True)
    found, stamp, digest = target / "manifest.json", target / "sources.sha256", _digest(project)
    with (target / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        files = (found, target / PARSED, stamp)
        if not (all(one.is_file() for one in files) and stamp.read_text() == digest):
            _parse(project, target)
            stamp.write_text(digest)
    return found


@contextmanager
def dbt_environment(settings: Settings) -> Iterator[None]:
    """Let a dbt that is started find the warehouse, for as long as this lasts."""
    where = conninfo_to_dict(settings.postgres_url("builder"))
    given = {
        "VALUEVERSE_DBT_PYTHON": sys.executable,
        "VALUEVERSE_DBT_HOST": str(where.get("host") or "127.0.0.1"),
        "VALUEVERSE_DBT_PORT": str(where.get("port") or "5432"),
        "VALUEVERSE_DBT_USER": str(where["user"]),
        "VALUEVERSE_DBT_PASSWORD": str(where.get("password") or ""),
        "VALUEVERSE_DBT_DBNAME": str(where["dbname"]),
    }
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def missing_relations(settings: Settings) -> list[str]:
    """Models without a table or view in the warehouse, as ``schema.name``; dbt builds them whole."""
    wanted = {f"{path.parent.name}.{path.stem}" for path in (PROJECT / "models").rglob("*.sql")}
    wanted |= {f"staging.{path.stem}" for path in (PROJECT / "seeds").glob("*.csv")}
    with connect(settings, "builder") as connection:
        return sorted(wanted - {name for (name,) in connection.execute(_RELATIONS)})


def _digest(project: Path) -> str:
    found = hashlib.sha256(version("dbt-core").encode())
    paths = sorted(path for pattern in _SOURCES for path in project.rglob(pattern))
    for path in paths:
        inside = path.relative_to(project)
        if inside.parts[0] not in _GENERATED:
            found.update(f"{inside}\0".encode() + path.read_bytes())
    return found.hexdigest()


def _parse(project: Path, target: Path) -> None:
    command = [
        *(sys.executable, "-m", "dbt.cli.main"),
        "--quiet",
        "parse",
        "--no-partial-parse",
        "--target-path",
        str(target),
        "--log-path",
        str(target),
    ]
    command += ["--project-dir", str(project), "--profiles-dir", str(project)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
    )
    if done.returncode:
        output = (done.stdout + done.stderr).strip()
        raise RefusalError("dbt_parse", f"dbt cannot read {project}: {output}", str(project))
