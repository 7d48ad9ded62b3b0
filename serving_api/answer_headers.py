"""Headers that every answer of the API has, errors included."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Headers = list[tuple[bytes, bytes]]

VERSION = "2026-11-01"
"""The API's one version so far; a date, so that a client can pin the day it was written."""

SECURITY_HEADERS = {
    "content-security-policy": ("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"),
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "vary": "Authorization, Api-Version",
}

_REQUEST_ID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_ID_BYTES = 4096
_digits: list[str] = []
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}

_STATIC = [(name.encode(), value.encode()) for name, value in (*SECURITY_HEADERS.items(), ("api-version", VERSION))]


def completed(own: Iterable[tuple[bytes, bytes]]) -> Headers:
    """An answer's headers with what every answer has; what a route has set itself stays."""
    stated = list(own)
    names = {name for name, _ in stated}
    return stated + [header for header in _STATIC if header[0] not in names]


def encoded(headers: Mapping[str, str]) -> Headers:
    """Headers as ASGI takes them."""
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def request_id(offered: str | None) -> str:
    """The id of a request: the one that a client names, or a new one (UUID, version 4)."""
    if offered and _REQUEST_ID.fullmatch(offered):
        return offered.lower()
    if not _digits:
        # Many at once: the system is asked once for some hundred requests.
        random = os.urandom(_ID_BYTES).hex()
        _digits.extend(random[place : place + 32] for place in range(0, len(random), 32))
    one = _digits.pop()
    return f"{one[:8]}-{one[8:12]}-4{one[13:16]}-{_VARIANT[one[16]]}{one[17:20]}-{one[20:]}"
