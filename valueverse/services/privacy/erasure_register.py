"""Erasures, recorded beside the database: one that is put back from a backup does not know those that came after it.

The register is the file ``erasures.ndjson`` in the folder of the audit log's checkpoints: tenant, customer and when the
erasure began, a line each; nothing else about the customer.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson

from valueverse.errors import RefusalError
from valueverse.platform.stores import privacy_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import psycopg

    from valueverse.platform.settings import Settings


def register(settings: Settings, tenant: str, customer: str, begun_at: datetime) -> None:
    """Add an erasure; it is on disk when the call returns.

    Raises:
        RefusalError: ``audit_folder_unusable``.
    """
    path = _path(settings)
    line = orjson.dumps({"tenant": tenant, "customer": customer, "begun_at": begun_at.isoformat()})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            # A line that was cut off, by a loss of power, must not take the next one along.
            file.write(b"\n" + line + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unusable(path, error) from error


def forgotten(settings: Settings, connection: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """tenant, customer, begun_at of registered erasures that the database has not done; each customer once.

    Raises:
        RefusalError: ``audit_folder_unusable``.
    """
    path = _path(settings)
    done = privacy_store.newest_finished(connection)
    registered = {(row["tenant"], row["customer"]): row for row in _entries(path)}
    return [
        row
        for key, row in sorted(registered.items())
        # One that was repeated since covers those before.
        if key not in done or done[key] < datetime.fromisoformat(row["begun_at"])
    ]


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    """What the register says; an erasure whose line was cut off was not finished either, and is begun again by whoever
    asked for it."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unusable(path, error) from error
    for line in filter(None, lines):
        with suppress(orjson.JSONDecodeError):
            yield orjson.loads(line)


def _unusable(path: Path, error: OSError) -> RefusalError:
    message = f"the register of erasures cannot be read or written, {path}: {error}; check the folder's rights and disk"
    return RefusalError("audit_folder_unusable", message)


def _path(settings: Settings) -> Path:
    return settings.audit_dir / "erasures.ndjson"
