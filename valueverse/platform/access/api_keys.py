"""API keys, ``vv_<prefix>_<secret>``: shown once, stored as a hash; the prefix finds it, the secret opens."""

from __future__ import annotations

import hashlib
import re
import secrets
import string
from typing import TYPE_CHECKING, Any

from valueverse.errors import RefusalError
from valueverse.platform.queries import value_of
from valueverse.platform.settings import TENANT_KEY

if TYPE_CHECKING:
    from collections.abc import Collection

    import psycopg

SCOPES = ("events:write", "billing:read", "billing:write", "value:write", "value:approve", "audit:read", "admin")
"""What a key may be good for; ``admin`` stands for all of them."""

DEFAULT_SCOPES = ("events:write", "billing:read")

_KEY = re.compile(r"vv_([a-z0-9]{12})_([A-Za-z0-9]{43})")
_PREFIX_LETTERS = string.ascii_lowercase + string.digits
_SECRET_LETTERS = string.ascii_letters + string.digits


def issue_api_key(
    connection: psycopg.Connection[Any],
    tenant: str,
    scopes: Collection[str] = DEFAULT_SCOPES,
    name: str | None = None,
) -> str:
    """Make a key of ``tenant`` and return it: the only time anybody sees it. The caller (builder role)
    commits.

    Raises:
        RefusalError: ``bad_tenant``, ``bad_scope``.
    """
    if not TENANT_KEY.fullmatch(tenant):
        raise RefusalError(
            "bad_tenant", f"{tenant!r} is not a tenant key: a-z, 0-9, '_', '.', '-', at most 63", "tenant"
        )
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise RefusalError("bad_scope", f"{unknown[0]!r} is no scope; there are {', '.join(SCOPES)}", "scopes")
    if not scopes:
        raise RefusalError(
            "bad_scope", f"a key without scopes permits nothing; choose from {', '.join(SCOPES)}", "scopes"
        )
    prefix, key = new_api_key()
    connection.execute(
        "insert into auth.api_key (tenant_id, prefix, key_hash, scopes, name) values (%s, %s, %s, %s, %s)",
        [tenant, prefix, digest(key), sorted(set(scopes)), name],
    )
    return key


def new_api_key() -> tuple[str, str]:
    """Prefix and whole text of a random key."""
    prefix = "".join(secrets.choice(_PREFIX_LETTERS) for _ in range(12))
    # 43 letters out of 62 are 256 bits: no dictionary reaches them, so a plain hash is as good as a slow one.
    return prefix, f"vv_{prefix}_{''.join(secrets.choice(_SECRET_LETTERS) for _ in range(43))}"


def verify_api_key(connection: psycopg.Connection[Any], key: str) -> str | None:
    """The tenant that ``key`` opens; None if it is malformed, unknown, revoked or expired."""
    prefix = prefix_of(key)
    tenant: str | None = value_of(
        connection,
        "select tenant_id::text from auth.api_key where prefix = %s and key_hash = %s and revoked_at is null "
        "and (expires_at is null or expires_at > now())",
        [prefix, digest(key)],
    )
    return tenant


def revoke_api_key(connection: psycopg.Connection[Any], prefix: str) -> str:
    """Revoke the key with ``prefix`` (a whole key will do), and with it its sessions; return its tenant.

    Raises:
        RefusalError: ``unknown_key``, also when it is revoked already.
    """
    tenant = value_of(
        connection,
        "update auth.api_key set revoked_at = now() where prefix = %s and revoked_at is null returning tenant_id",
        [prefix_of(prefix) or prefix],
    )
    if tenant is None:
        shown = prefix_of(prefix) or prefix
        raise RefusalError(
            "unknown_key", f"no valid key has the prefix {shown!r}; see `valueverse tenants list`", "PREFIX"
        )
    return str(tenant)


def prefix_of(key: str) -> str | None:
    """The look-up part of a key; None for what cannot be one."""
    found = _KEY.fullmatch(key)
    return found.group(1) if found else None


def digest(secret: str) -> str:
    """How keys and refresh tokens are stored: hex SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()
