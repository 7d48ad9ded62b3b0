"""Opaque places in a list: signed, and good only for the tenant, list and filters they were made for."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

import orjson

from serving_api.problems import Problem

_TAG = 16
_LONGEST = 2048


class Cursors:
    """Signs and reads cursors with one secret, shared by all workers."""

    def __init__(self, secret: str) -> None:
        self._secret = hashlib.sha256(b"cursor\n" + secret.encode()).digest()

    def make(self, scope: tuple[Any, ...], place: list[Any]) -> str:
        """A cursor for ``place`` (sort key of the last row) within ``scope`` (list, tenant, filters)."""
        body = orjson.dumps(place)
        return base64.urlsafe_b64encode(self._tag(scope, body) + body).rstrip(b"=").decode()

    def read(self, scope: tuple[Any, ...], cursor: str | None, length: int) -> list[Any]:
        """The place of ``cursor``; ``length`` times None without one.

        Raises:
            Problem: ``invalid-cursor``.
        """
        if cursor is None:
            return [None] * length
        try:
            if len(cursor) > _LONGEST:
                raise _refused()
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise _refused() from error
        tag, body = raw[:_TAG], raw[_TAG:]
        # Base64 has spare bits: only the one spelling we gave out is taken.
        canonical = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        if canonical != cursor or not hmac.compare_digest(tag, self._tag(scope, body)):
            raise _refused()
        place: list[Any] = orjson.loads(body)
        return place

    def _tag(self, scope: tuple[Any, ...], body: bytes) -> bytes:
        scope_text = orjson.dumps(scope, default=str)
        return hmac.digest(self._secret, len(scope_text).to_bytes(4, "big") + scope_text + body, "sha256")[:_TAG]


def _refused() -> Problem:
    return Problem(
        "invalid-cursor",
        "Use next_cursor unchanged, with the same filters, or leave it out to start from the first page.",
    )
