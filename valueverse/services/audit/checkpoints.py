"""Signed checkpoints in files beside the database: one file per tenant, notes one after another, each followed by an
empty line."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valueverse.audit import Checkpoint, leaf_hash, read_checkpoint, root_hash, sign_checkpoint
from valueverse.errors import RefusalError
from valueverse.platform.access.secrets import audit_key, pem_of
from valueverse.platform.servers.processes import locked
from valueverse.platform.stores import audit_store as store
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from valueverse.platform.settings import Settings

_BETWEEN = re.compile(r"(?<=\n)\n(?=[^—])")


def origin(tenant: str) -> str:
    """The name of a tenant's log in its checkpoints."""
    return f"valueverse/audit/{tenant}"


def notes(settings: Settings, tenant: str) -> list[str]:
    """A tenant's signed notes, oldest first; none before the first.

    Raises:
        RefusalError: ``audit_folder_unusable``.
    """
    try:
        text = _path(settings, tenant).read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(settings, error) from error
    return [note if note.endswith("\n") else f"{note}\n" for note in _BETWEEN.split(text.rstrip("\n") + "\n")]


@dataclass(frozen=True)
class SignedCheckpoint:
    """A checkpoint and the note that states it."""

    checkpoint: Checkpoint
    note: str


def newest_checkpoint(settings: Settings, tenant: str) -> SignedCheckpoint | None:
    """The newest checkpoint of a tenant whose signature holds; None: there is none.

    Raises:
        RefusalError: ``audit_folder_unusable``, ``secret_unreadable``.
    """
    key = audit_key(settings.secrets_dir).public_key()
    for note in reversed(notes(settings, tenant)):
        try:
            return SignedCheckpoint(read_checkpoint(note, key, origin(tenant)), note)
        except ValueError:
            continue
    return None


def public_key(settings: Settings) -> str:
    """The key that verifies checkpoints and receipts, as PEM.

    Raises:
        RefusalError: ``secret_unreadable``.
    """
    return pem_of(audit_key(settings.secrets_dir).public_key())


def sign_checkpoints(settings: Settings, tenants: Collection[str]) -> dict[str, int]:
    """Write a checkpoint for each of these tenants whose log has grown since the last one: tenant -> entries.

    Verify the logs before: a checkpoint vouches for what it covers. One that is shorter than its newest checkpoint
    gets none.

    Raises:
        RefusalError: ``audit_folder_unusable``, ``secret_unreadable``.
    """
    signed = {}
    key = audit_key(settings.secrets_dir)
    with connect(settings, "builder") as connection, locked(settings.audit_dir / ".lock"):
        for row in store.newest(connection, sorted(tenants)):
            tenant, size = row["tenant"], row["sequence"]
            last = newest_checkpoint(settings, tenant)
            if last is not None and size <= last.checkpoint.size:
                continue
            leaves = [leaf_hash(one["entry"].encode()) for one in store.entries_of(connection, tenant)[:size]]
            checkpoint = Checkpoint(origin(tenant), size, root_hash(leaves))
            _append(settings, tenant, sign_checkpoint(checkpoint, key))
            signed[tenant] = size
    return signed


def _append(settings: Settings, tenant: str, note: str) -> None:
    try:
        with _path(settings, tenant).open("a", encoding="utf-8") as file:
            file.write(f"{note}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unusable(settings, error) from error


def _path(settings: Settings, tenant: str) -> Path:
    return settings.audit_dir / f"{tenant}.checkpoints"


def _unusable(settings: Settings, error: Exception) -> RefusalError:
    return RefusalError(
        "audit_folder_unusable",
        f"checkpoints of the audit log cannot be read or written in {settings.audit_dir}: {error}; check the folder's "
        "owner and free space",
        "VALUEVERSE_AUDIT_DIR",
    )
