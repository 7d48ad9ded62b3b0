"""``Idempotency-Key``: what a write that comes again is answered (draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from serving_api.problems import Problem
from serving_api.service import service_of
from valueverse.platform.stores.privacy_store import ERASED_ANSWER

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from serving_api.database import Transaction

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")

PARAMETER: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Any text of yours, a new one for each write: with the same one again within 24 hours nothing more "
    "is written and the first answer comes back, with the header `Idempotent-Replayed: true`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    "example": "8e03978e-40d5-43e8-bc93-6894a57f9324",
}


@dataclass(frozen=True)
class Repeatable:
    """A write that may come again.

    Attributes:
        key_hash: SHA-256 of its key; None without one.
        fingerprint: SHA-256 of what it asks: method, address and body.
    """

    key_hash: bytes | None
    fingerprint: bytes

    async def begin(self, transaction: Transaction, tenant: str) -> Response | None:
        """Begin the write; the answer if there is one already.

        Raises:
            Problem: ``idempotency-in-flight``, ``idempotency-mismatch``; ``conflict`` where the answer was erased.
        """
        (found,) = await transaction.call("begin_write", tenant, self.key_hash, self.fingerprint)
        if found["state"] == "in-flight":
            detail = "The first request with this Idempotency-Key is not answered yet."
            raise Problem("idempotency-in-flight", detail, headers={"Retry-After": "1"})
        if found["state"] == "mismatch":
            raise Problem("idempotency-mismatch", "This Idempotency-Key came with another address or body.")
        if found["state"] == "answered" and found["status"] == ERASED_ANSWER:
            detail = "What this request wrote was erased since, with what is personal of the customer."
            raise Problem("conflict", detail)
        if found["state"] == "answered":
            headers = {"Idempotent-Replayed": "true"}
            return Response(bytes(found["body"]), found["status"], headers, "application/json")
        return None

    async def end(
        self, transaction: Transaction, tenant: str, status: int, body: bytes, once: bytes | None = None
    ) -> Response:
        """The answer, stored with the write where it has a key; ``once`` is what the first request is answered
        instead, since it holds a secret that is stored nowhere."""
        if self.key_hash is not None:
            await transaction.call("keep_answer", tenant, self.key_hash, self.fingerprint, status, body)
        return Response(once or body, status, media_type="application/json")


async def answer_once(
    request: Request, tenant: str, write: Callable[[Transaction, Repeatable], Awaitable[Response]]
) -> Response:
    """What ``write`` answers in one transaction, by ``Repeatable.end``; the answer that there is already, if it comes
    again.

    Raises:
        Problem: of ``Idempotency-Key``; what ``write`` raises, and then nothing is written.
    """
    again = repeatable(request, await request.body())
    async with service_of(request).database.transaction() as transaction:
        answered = await again.begin(transaction, tenant)
        return await write(transaction, again) if answered is None else answered


def repeatable(request: Request, body: bytes) -> Repeatable:
    """The request as a write that may come again.

    Raises:
        Problem: ``invalid-request``: two keys, or one that is none.
    """
    given = request.headers.getlist("idempotency-key")
    if len(given) > 1 or (given and not _KEY.fullmatch(given[0])):
        message = "one key of 1 to 255 printable ASCII characters"
        place = {"path": "header.idempotency-key", "message": message}
        raise Problem("invalid-request", "The Idempotency-Key is not acceptable.", errors=[place])
    address = f"{request.url.path}?{request.url.query}"
    asked = b"\n".join((request.method.encode(), address.encode(), body))
    key = hashlib.sha256(given[0].encode()).digest() if given else None
    return Repeatable(key, hashlib.sha256(asked).digest())
