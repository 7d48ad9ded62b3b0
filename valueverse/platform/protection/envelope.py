"""One sealed value: AES-256-GCM, bound to the place that it was sealed for.

Bytes: 1 (form), 4 (version of the data key, big-endian), 12 (nonce), then ciphertext and tag of 16. Associated data are
the form, tenant, subject, table, column, key of the row and version, each with its length before it: a value that is
moved to another row, column, table, subject or tenant, or whose version is changed, does not open.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from valueverse.errors import RefusalError

_FORM = 1
_HEAD, _NONCE, _TAG = 5, 12, 16


@dataclass(frozen=True)
class Cell:
    """Where a value is stored; ``subject`` is the customer whom it is about, empty: nobody but the tenant."""

    tenant: str
    subject: str
    table: str
    column: str
    row: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.table}.{self.column} of tenant {self.tenant}"


def seal(key: bytes, version: int, cell: Cell, value: bytes) -> bytes:
    """``value`` encrypted by a data key of 32 bytes for ``cell``; each call has a random nonce."""
    head, nonce = bytes([_FORM]) + version.to_bytes(4, "big"), os.urandom(_NONCE)
    return head + nonce + AESGCM(key).encrypt(nonce, value, _associated(cell, version))


def version_of(cell: Cell, sealed: bytes) -> int:
    """Which version of the data key sealed a value.

    Raises:
        RefusalError: ``sealed_value_damaged`` for bytes that are no sealed value.
    """
    if len(sealed) < _HEAD + _NONCE + _TAG or sealed[0] != _FORM:
        raise _damaged(cell)
    return int.from_bytes(sealed[1:_HEAD], "big")


def opened(key: bytes, cell: Cell, sealed: bytes) -> bytes:
    """What ``seal`` was given.

    Raises:
        RefusalError: ``sealed_value_damaged`` unless every byte is as it was sealed, for this cell, by this key.
    """
    version = version_of(cell, sealed)
    nonce, encrypted = sealed[_HEAD : _HEAD + _NONCE], sealed[_HEAD + _NONCE :]
    try:
        return AESGCM(key).decrypt(nonce, encrypted, _associated(cell, version))
    except InvalidTag as error:
        raise _damaged(cell) from error


def _associated(cell: Cell, version: int) -> bytes:
    parts = (
        str(_FORM),
        cell.tenant,
        cell.subject,
        cell.table,
        cell.column,
        str(len(cell.row)),
        *cell.row,
        str(version),
    )
    return b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)


def _damaged(cell: Cell) -> RefusalError:
    return RefusalError(
        "sealed_value_damaged",
        f"a sealed value in {cell} is damaged, or was sealed for another place; restore it from a backup",
    )
