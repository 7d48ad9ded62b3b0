"""Opaque tokens: 256 bits, good once, stored as a hash; each contains its tenant, so that it is looked for among that
tenant's rows alone."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets

from valueverse.platform.settings import TENANT_KEY

REFRESH, PORTAL_LINK, INVITATION, RESET, SIGN_IN = "vvr", "vvp", "vvi", "vvx", "vvo"
"""How they begin: of a session, of a link to the portal, of an invitation, of a forgotten password, of a log-in that an
identity provider has answered."""
_OPAQUE = re.compile(r"vv[rpixo]_([A-Za-z0-9_-]{2,84})\.([A-Za-z0-9_-]{43})")


def new_token(tenant: str, kind: str) -> str:
    """A random token for ``tenant``; ``kind`` is how it begins."""
    return _token(tenant, kind, secrets.token_bytes(32))


def derived_token(tenant: str, kind: str, name: str, master: str) -> str:
    """The token of what ``name`` names, from a secret of the installation: whoever mails it needs to be given none."""
    return _token(tenant, kind, hmac.digest(master.encode(), f"{kind}\n{tenant}\n{name}".encode(), hashlib.sha256))


def _token(tenant: str, kind: str, value: bytes) -> str:
    place, rest = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in (tenant.encode(), value))
    return f"{kind}_{place}.{rest}"


def tenant_of_token(token: str) -> str | None:
    """The tenant an opaque token claims to be of; None for what cannot be one. Its hash has the last word."""
    found = _OPAQUE.fullmatch(token)
    if found is None:
        return None
    place = found.group(1)
    try:
        tenant = base64.b64decode(place + "=" * (-len(place) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return tenant if TENANT_KEY.fullmatch(tenant) else None
