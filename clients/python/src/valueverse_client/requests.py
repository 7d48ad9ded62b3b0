"""A request as both clients send it: its address, headers and body, and whether it may be sent twice."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

_EVENTS = "/v1/events"
_KEY = "Idempotency-Key"


@dataclass(frozen=True)
class Asked:
    """A request that is not sent yet; sent again, it is the same to the byte."""

    method: str
    address: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None

    @property
    def repeatable(self) -> bool:
        """Whether a second time has no second effect."""
        return self.method != "POST" or _KEY in self.headers or self.address == _EVENTS


def asked(
    method: str,
    path: str,
    keys: Mapping[str, Any],
    query: Mapping[str, Any] | None = None,
    headers: Mapping[str, str | None] | None = None,
    body: Any = None,
) -> Asked:
    """A request of an operation: ``keys`` fill its path, what is None is left out, and a write without an
    ``Idempotency-Key`` gets one."""
    sent = {name: value for name, value in (headers or {}).items() if value is not None}
    if _KEY in (headers or {}):
        sent.setdefault(_KEY, str(uuid.uuid4()))
    content = None
    if body is not None:
        sent["Content-Type"] = "application/yaml" if isinstance(body, str) else "application/json"
        content = body.encode() if isinstance(body, str) else json_bytes(body)
    filled = path.format(**{name: quote(str(key), safe="") for name, key in keys.items()})
    chosen = {name: _text(value) for name, value in (query or {}).items() if value is not None}
    return Asked(method, filled, chosen, sent, content)


def json_bytes(value: Any) -> bytes:
    """JSON in which decimals are text and instants are RFC 3339.

    Raises:
        TypeError: a value that JSON does not have.
        ValueError: a number that is not finite; an instant without offset.
    """
    return json.dumps(value, default=_text, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def decoded(answer: httpx.Response) -> Any:
    """What an answer holds: JSON as Python values, a file as bytes, None for nothing."""
    if answer.headers.get("content-type", "").startswith("application/json"):
        return answer.json()
    return answer.content or None


def _text(value: Any) -> Any:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone: give one, such as datetime.UTC")
        return value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str | int | float | list | tuple):
        return value
    raise TypeError(f"JSON has no {type(value).__name__}")
