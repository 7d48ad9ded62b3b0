"""Starting a project folder: settings, a catalog, and a month of sample events that can be billed as they are."""

from __future__ import annotations

import re
from pathlib import Path

from valueverse.errors import RefusalError
from valueverse.platform.project_file import FILE_NAME
from valueverse.platform.servers.supervisor import project
from valueverse.platform.settings import TENANT_KEY

SAMPLE = Path(__file__).parent / "sample"
SAMPLE_TENANT = "acme"
_PLACES = {"gitignore": ".gitignore", "README.md": "README.md", FILE_NAME: FILE_NAME}
"""Name in SAMPLE -> name in the folder; catalogs stand beside them, event files in the landing folder."""
_SCHEMAS = project() / "docs" / "schemas"
"""Published JSON Schemas: editors find them by the first line of a catalog or a value model."""


def start_project(folder: Path, tenant: str) -> list[Path]:
    """Write the sample project of ``tenant`` into a new or empty folder.

    Returns:
        The files that were written.

    Raises:
        RefusalError: ``bad_tenant``; ``not_empty``; ``cannot_write``.
    """
    if not TENANT_KEY.fullmatch(tenant):
        raise RefusalError(
            "bad_tenant", f"{tenant!r} is not a tenant key: a-z, 0-9, '_', '.', '-', at most 63", "--tenant"
        )
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise RefusalError("not_empty", f"{folder} is not empty: name a new folder, or empty this one", "DIR")
        return [_written(folder / place, content) for place, content in _files(tenant).items()]
    except OSError as error:
        raise RefusalError("cannot_write", f"{error.filename or folder}: {error.strerror}", "DIR") from error


def _files(tenant: str) -> dict[str, str]:
    """Place in the folder -> text."""
    found = {}
    for path in sorted(SAMPLE.iterdir()):
        in_landing = path.suffix == ".ndjson"
        place = f"landing/{tenant}/{path.name}" if in_landing else _PLACES.get(path.name, path.name)
        found[place] = re.sub(rf"\b{SAMPLE_TENANT}\b", tenant, path.read_text(encoding="utf-8"))
    return found | {
        f"schemas/{path.name}": path.read_text(encoding="utf-8") for path in sorted(_SCHEMAS.glob("*.json"))
    }


def _written(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path
