"""The hash chain of a tenant's entries: each link covers all before it."""

from __future__ import annotations

import hashlib


def genesis(tenant: str) -> bytes:
    """What the first link of a tenant's chain follows."""
    return hashlib.sha256(b"audit-chain/v1\n" + tenant.encode()).digest()


def link(previous: bytes, leaf: bytes) -> bytes:
    """The chain's hash after an entry, from the one before it and the entry's leaf hash (each 32 bytes)."""
    return hashlib.sha256(b"\x02" + previous + leaf).digest()
