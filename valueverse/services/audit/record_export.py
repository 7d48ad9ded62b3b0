"""Exports are entries of the audit log: who had which data, and the hash of the file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from valueverse.platform.stores import audit_store as store
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Collection

    from valueverse.platform.settings import Settings


def record_export(settings: Settings, tenants: Collection[str], action: str, about: str, file: bytes) -> str:
    """Write that a file with data of these tenants is handed out; call it before the file is.

    Args:
        settings: of the installation.
        tenants: whose data are in it: an entry in the log of each.
        action: such as ``journal.exported``.
        about: what of theirs: a key, no name.
        file: its bytes.

    Returns:
        SHA-256 of the file as hex, which the entries have.
    """
    digest = hashlib.sha256(file).hexdigest()
    with connect(settings, "builder") as connection:
        store.submit(connection, sorted(set(tenants)), action, about, digest)
    return digest
