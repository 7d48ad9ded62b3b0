"""Signed checkpoints in files beside the database: one file per tenant, notes one after another, each followed by an
empty line."""

from __future__ import annotations

import os
import re
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from valueverse.audit import Checkpoint, leaf_hash, read_checkpoint, root_hash, sign_checkpoint
from valueverse.errors import RefusalError
from valueverse.platform.access.secrets import audit_key, pem_of
from valueverse.platform.servers.processes import locked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from valueverse.audit import Bundle
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
    if not text.strip():
        # As a file that was made and not written; one that was emptied lacks what the database has.
        return []
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
        with suppress(ValueError):
            return SignedCheckpoint(read_checkpoint(note, key, origin(tenant)), note)
    return None


def public_key(settings: Settings) -> str:
    """The key that verifies checkpoints and receipts, as PEM.

    Raises:
        RefusalError: ``secret_unreadable``.
    """
    return pem_of(audit_key(settings.secrets_dir).public_key())


@contextmanager
def signing(settings: Settings) -> Iterator[None]:
    """Nobody else reads logs in order to sign them meanwhile.

    Raises:
        RefusalError: ``audit_folder_unusable``; ``busy``.
    """
    with ExitStack() as held:
        try:
            held.enter_context(locked(settings.audit_dir / ".lock"))
        except OSError as error:
            raise _unusable(settings, error) from error
        yield


def sign_checkpoint_of(settings: Settings, bundle: Bundle) -> dict[int, str]:
    """Write a checkpoint of all entries of this log. Verify it before: a checkpoint vouches for what it covers.

    Returns:
        size -> note of the checkpoints that are outside of the database and not in it yet, the new one among them.

    Raises:
        RefusalError: ``audit_folder_unusable``, ``secret_unreadable``.
    """
    leaves = [leaf_hash(entry) for entry in bundle.entries]
    checkpoint = Checkpoint(bundle.origin, len(leaves), root_hash(leaves))
    note = sign_checkpoint(checkpoint, audit_key(settings.secrets_dir))
    try:
        with _path(settings, bundle.tenant).open("a", encoding="utf-8") as file:
            file.write(f"{note}\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise _unusable(settings, error) from error
    public, stored = audit_key(settings.secrets_dir).public_key(), set(bundle.stored)
    older = [one for one in bundle.checkpoints if one not in stored]
    return {read_checkpoint(one, public, bundle.origin).size: one for one in older} | {len(leaves): note}


def _path(settings: Settings, tenant: str) -> Path:
    return settings.audit_dir / f"{tenant}.checkpoints"


def _unusable(settings: Settings, error: Exception) -> RefusalError:
    return RefusalError(
        "audit_folder_unusable",
        f"checkpoints of the audit log cannot be read or written in {settings.audit_dir}: {error}; check the folder's "
        "owner and free space",
        "VALUEVERSE_AUDIT_DIR",
    )
