"""The most asked question, ``GET /v1/invoices/{number}`` of a session, answered before any other route is looked for.

What is answered here, and how, is what the usual way answers: tokens, scopes, limits and reads are the same objects.
It is only for requests that have nothing to be judged but a token which this process has verified before: whatever else
a request has or lacks goes the usual way, which also says what is wrong with it. People go there too, for their role is
looked up each time.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import rfc8785

from serving_api import metrics
from serving_api.answer_cache import PATH, TTL, Answer
from serving_api.answer_headers import completed, encoded, request_id
from serving_api.problems import Problem
from serving_api.responses import PRIVATE, matches, tag_of
from serving_api.schemas import is_plain
from serving_api.security.rate_limits import bucket_of, note_verdict

if TYPE_CHECKING:
    from starlette.types import Scope, Send

    from serving_api.answer_cache import AnswerCache, Headers, Key
    from serving_api.database import Database
    from serving_api.request_log import RequestLog
    from serving_api.security.rate_limits import Limiter, Verdict
    from serving_api.security.tokens import Identity, Tokens
    from valueverse.platform.settings import Settings

SCOPE = "billing:read"
_PREFIX = PATH.removesuffix("{number}")
_BEARER = b"Bearer "
_UNUSUAL = frozenset({b"api-version", b"content-length", b"transfer-encoding", b"expect", b"traceparent"})
"""Headers that are judged elsewhere."""


@dataclass(slots=True)
class Read:
    """A request for an invoice.

    Attributes:
        identity: whose, with what it may.
        number: of the invoice.
        tags: headers ``If-None-Match``.
        request_id: header ``X-Request-ID``.
        arrived: ``time.monotonic()``.
        verdict: that of the rate limit; None: it was not asked for yet.
        failure: why there is no answer, if it was looked for.
    """

    identity: Identity
    number: str
    tags: list[str]
    request_id: str | None
    arrived: float
    verdict: Verdict | None = None
    failure: BaseException | None = None

    def reply(self, answer: Answer) -> tuple[int, Headers, bytes]:
        """Status, headers and body."""
        if self.tags and matches(self.tags, answer.tag):
            return 304, answer.unchanged, b""
        return 200, answer.headers, answer.body


class InvoiceReads:
    """Answers about invoices as JSON, for tenants and for customers in their portals."""

    def __init__(
        self,
        settings: Settings,
        tokens: Tokens,
        limiter: Limiter,
        answers: AnswerCache,
        database: Database,
        request_log: RequestLog,
    ) -> None:
        self._is_served = "billing" in settings.groups
        self._tokens = tokens
        self._limiter = limiter
        self._answers = answers
        self._database = database
        self._request_log = request_log

    def find(self, scope: Scope) -> Read | None:
        """The request, if it is one that is answered here."""
        path: str = scope["path"]
        if not path.startswith(_PREFIX) or scope["method"] != "GET" or scope["query_string"] or not self._is_served:
            return None
        number = path[len(_PREFIX) :]
        given = _headers(scope["headers"])
        if given is None or not number or "/" in number:
            return None
        arrived, (token, request_id, tags) = time.monotonic(), given
        identity = self._tokens.known(token)
        if identity is None or identity.is_person or (identity.customer is None and not identity.may(SCOPE)):
            return None
        return Read(identity, number, tags, request_id, arrived)

    async def reply(self, read: Read, send: Send) -> bool:
        """Send the answer; it is counted and logged as every other. False: it goes the usual way, which says why."""
        owner, limiter = read.identity.owner, self._limiter
        answer, verdict = self._answers.take(_key(owner, read.number)), limiter.take(bucket_of(owner))
        if answer is None or verdict is None:
            with metrics.IN_PROGRESS.track_inprogress():
                answer = await self._looked_up(read, answer, verdict)
            verdict = read.verdict
            if answer is None or verdict is None:
                return False
        status, headers, body = read.reply(answer)
        identifier = request_id(read.request_id)
        own = [(b"x-request-id", identifier.encode()), *_limits(verdict, limiter.requests)]
        try:
            await send({"type": "http.response.start", "status": status, "headers": headers + own})
            await send({"type": "http.response.body", "body": body})
        finally:
            seconds = time.monotonic() - read.arrived
            metrics.count_request("GET", PATH, status, seconds)
            ids = {"request_id": identifier}
            self._request_log.add("GET", PATH, status, read.identity.tenant, seconds, ids)
        return True

    async def _looked_up(self, read: Read, answer: Answer | None, verdict: Verdict | None) -> Answer | None:
        """The answer, if the limit allows one; ``read`` gets the verdict, and the error that was met."""
        owner = read.identity.owner
        read.verdict = verdict or await self._limiter.spend_ahead(bucket_of(owner))
        if answer is None and read.verdict.allowed:
            (found,) = await asyncio.gather(self.read(owner, read.number), return_exceptions=True)
            if isinstance(found, BaseException):
                # The usual way raises it: there every error has its answer.
                read.failure = found
            else:
                answer = found
        return answer if read.verdict.allowed else None

    async def serve(self, read: Read, scope: Scope, send: Send) -> None:
        """Answer a request that was not, or not yet, answered by ``reply``.

        Raises:
            Problem: ``rate-limited``, ``not-found``, ``unavailable``.
        """
        owner, limiter = read.identity.owner, self._limiter
        bucket = bucket_of(owner)
        verdict = read.verdict or limiter.take(bucket) or await limiter.spend_ahead(bucket)
        note_verdict(scope, owner, verdict, limiter.requests)
        if read.failure is not None:
            raise read.failure
        answer = await self.read(owner, read.number)
        status, headers, body = read.reply(answer)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def read(self, owner: tuple[str, ...], number: str) -> Answer:
        """The answer about an invoice, from this process or else from Postgres.

        Raises:
            Problem: ``not-found``, ``unavailable``.
        """
        key, answers = _key(owner, number), self._answers
        answer = answers.take(key)
        if answer is None:
            changes = answers.changes
            found = await self._database.invoice(owner, number) if is_plain(number) else None
            if found is None:
                raise no_invoice()
            document, is_void = found
            answer = _finished(document_bytes(document, is_void=is_void))
            answers.keep(key, answer, changes)
        return answer


def document_bytes(document: str, *, is_void: bool) -> bytes:
    """A finished document as it was hashed, or, canonical (RFC 8785) as before, one that says it is voided."""
    return rfc8785.dumps(json.loads(document) | {"status": "voided"}) if is_void else document.encode()


def no_invoice() -> Problem:
    """The answer to a number that no invoice of whoever asks has."""
    return Problem("not-found", "No invoice has this number.")


@lru_cache(maxsize=1024)
def _limits(verdict: Verdict, limit: int) -> Headers:
    return encoded(verdict.headers(limit))


def _headers(given: Headers) -> tuple[str, str | None, list[str]] | None:
    """Access token, ``X-Request-ID`` and each ``If-None-Match``; None where there is something else to judge."""
    token, request_id, tags = None, None, []
    for name, value in given:
        if name == b"authorization":
            if token is not None or not value.startswith(_BEARER):
                return None
            token = value[len(_BEARER) :].decode("latin-1")
        elif name == b"if-none-match":
            tags.append(value.decode("latin-1"))
        elif name == b"x-request-id":
            request_id = value.decode("latin-1")
        elif name in _UNUSUAL:
            return None
    return None if token is None else (token, request_id, tags)


def _key(owner: tuple[str, ...], number: str) -> Key:
    return (*owner, PATH, number)


_CACHED = (b"cache-control", PRIVATE.encode())
_OF_WHOLE = completed([_CACHED, (b"content-type", b"application/json")])
_OF_UNCHANGED = completed([_CACHED])


def _finished(body: bytes) -> Answer:
    """As ``responses.respond`` answers: Starlette's response would be made again for every read of Postgres."""
    tag = tag_of(body)
    etag = (b"etag", tag.encode())
    whole = [(b"content-length", str(len(body)).encode()), etag, *_OF_WHOLE]
    return Answer(tag, whole, [etag, *_OF_UNCHANGED], body, time.monotonic() + TTL)
