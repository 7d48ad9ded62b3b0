"""Passwords of the embedded servers and the database roles: made once, stored in files only their owner
reads."""

from __future__ import annotations

import errno
import os
import secrets as random_source
import tempfile
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def _random_text() -> str:
    return random_source.token_urlsafe(24)


def secret(directory: Path, name: str, make: Callable[[], str] = _random_text) -> str:
    """The secret ``name`` of ``directory``; made at first use, of 192 random bits by default, the same for ever after.

    A mounted directory (one file per secret, as Kubernetes lays them out) works as well: what exists is read.

    Raises:
        RefusalError: ``secret_unreadable`` when the file can neither be read nor made.
    """
    path = directory / name
    try:
        if not path.exists():
            _create(path, make())
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        full = error.errno == errno.ENOSPC
        cure = "free disk space" if full else "give the user who runs this command the right to read it"
        raise RefusalError(
            "secret_unreadable", f"{path}: {error.strerror}; {cure}", "VALUEVERSE_SECRETS_DIR"
        ) from error


def audit_key(directory: Path) -> Ed25519PrivateKey:
    """The key that signs checkpoints of the audit log.

    Raises:
        RefusalError: ``secret_unreadable``.
    """
    text = secret(directory, "audit_signing", _ed25519_text)
    try:
        key = serialization.load_pem_private_key(text.encode(), password=None)
    except ValueError as error:
        raise _no_audit_key(directory) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_audit_key(directory)
    return key


def pem_of(key: Ed25519PublicKey) -> str:
    """A public key as PEM."""
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def _no_audit_key(directory: Path) -> RefusalError:
    path = directory / "audit_signing"
    return RefusalError(
        "secret_unreadable", f"{path} holds no Ed25519 key in PEM; put the right one back", "VALUEVERSE_SECRETS_DIR"
    )


def _ed25519_text() -> str:
    return (
        Ed25519PrivateKey.generate()
        .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        .decode()
    )


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
