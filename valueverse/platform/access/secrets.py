"""Passwords of the embedded servers and the database roles: made once, stored in files only their owner
reads."""

from __future__ import annotations

import errno
import os
import secrets as random_source
import tempfile
from typing import TYPE_CHECKING

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from pathlib import Path


def secret(directory: Path, name: str) -> str:
    """The secret ``name`` of ``directory``; made of 192 random bits at first use, the same for ever after.

    A mounted directory (one file per secret, as Kubernetes lays them out) works as well: what exists is read.

    Raises:
        RefusalError: ``secret_unreadable`` when the file can neither be read nor made.
    """
    path = directory / name
    try:
        if not path.exists():
            _create(path, random_source.token_urlsafe(24))
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        full = error.errno == errno.ENOSPC
        cure = "free disk space" if full else "give the user who runs this command the right to read it"
        raise RefusalError(
            "secret_unreadable", f"{path}: {error.strerror}; {cure}", "VALUEVERSE_SECRETS_DIR"
        ) from error


def _create(path: Path, value: str) -> None:
    # Linking a finished file is atomic and fails if another process was first: whoever loses reads the
    # winner's.
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(value)
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        os.unlink(draft)  # noqa: PTH108 - mkstemp hands out text, not a Path
