"""Errors as RFC 9457 problem documents: one stable ``type`` per kind, the same shape wherever they arise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from valueverse.errors import RefusalError

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:valueverse:problem:"


@dataclass(frozen=True)
class Kind:
    """A kind of problem: HTTP status, and a title that never changes."""

    status: int
    title: str
    cure: str


KINDS = {
    "malformed-request": Kind(400, "The request cannot be read", "Send it as the description of the API says."),
    "invalid-cursor": Kind(
        400,
        "The cursor is not valid here",
        "Use next_cursor with the filters it came with, or start from the first page.",
    ),
    "unsupported-version": Kind(400, "This version of the API does not exist", "Send a listed Api-Version, or none."),
    "invalid-credentials": Kind(401, "The credentials are not valid", "Sign in with a valid API key or password."),
    "invalid-token": Kind(401, "The access token is missing or not valid", "Refresh the session, or sign in."),
    "second-factor-required": Kind(
        401, "A second factor is required", "Send `code` too: the one that the app shows, or a recovery code."
    ),
    "insufficient-scope": Kind(403, "The session lacks a scope", "Use an API key that has it."),
    "insufficient-role": Kind(403, "The role does not suffice", "Ask an owner of the tenant."),
    "not-found": Kind(404, "Nothing is found here", "Check the address; it may never have been yours to see."),
    "other-service": Kind(404, "Another service answers this address", "Ask the service that `detail` names."),
    "method-not-allowed": Kind(405, "The method is not allowed here", "Use one of the Allow header's."),
    "request-timeout": Kind(408, "The request did not come in time", "Send it again."),
    "conflict": Kind(409, "It contradicts what is known", "Read `detail`: what it names is there, or over, already."),
    "idempotency-in-flight": Kind(
        409, "A request with this key is being answered", "Send it again in a second: it will have its answer."
    ),
    "precondition-failed": Kind(
        412, "It has changed since you read it", "Read it again, and send the change with the ETag of what you read."
    ),
    "body-too-large": Kind(
        413,
        "The request's body is too large",
        "Send at most 64 KiB; a value model of 256 KiB; a catalog of 1 MiB, of two 2 MiB; "
        "of events 16 MiB, 64 MiB expanded, 100,000.",
    ),
    "unsupported-media-type": Kind(
        415, "The request's media type or encoding is not supported", "Send what `Accept-Post` or `errors` lists."
    ),
    "invalid-request": Kind(422, "The request has invalid values", "Correct what `errors` lists."),
    "idempotency-mismatch": Kind(
        422, "The key came with another request before", "Take a new key for each write; the same one to repeat it."
    ),
    "not-renderable": Kind(422, "The invoice cannot be written in this format", "State what `errors` says is missing."),
    "precondition-required": Kind(428, "The request says not what it changes", "Send If-Match with the ETag you read."),
    "rate-limited": Kind(429, "Too many requests", "Wait for the seconds of Retry-After."),
    "internal-error": Kind(
        500, "Something went wrong on our side", "Try again; send us the request id if it happens again."
    ),
    "unavailable": Kind(503, "The service is not available for the moment", "Try again in a few seconds."),
}

_BY_STATUS = {400: "malformed-request", 401: "invalid-token", 403: "insufficient-scope", 404: "not-found",
              405: "method-not-allowed", 408: "request-timeout", 409: "conflict",
              412: "precondition-failed", 413: "body-too-large",
              415: "unsupported-media-type", 422: "invalid-request", 428: "precondition-required", 429: "rate-limited",
              503: "unavailable"}  # fmt: skip


class Problem(HTTPException):
    """An error to answer with; raised anywhere below the frame."""

    def __init__(
        self,
        name: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__(KINDS[name].status, detail, dict(headers) if headers else None)
        self.name = name
        self.errors = errors

    def answer(self, request_id: str, status: int | None = None) -> Response:
        """The response that says it; with another status where a client expects that."""
        kind = KINDS[self.name]
        status = status or kind.status
        document: dict[str, Any] = {
            "type": PREFIX + self.name,
            "title": kind.title,
            "status": status,
            "detail": self.detail,
            "instance": f"urn:uuid:{request_id}",
        }
        if self.errors:
            document["errors"] = list(self.errors)
        headers = dict(self.headers or {})
        if status == 401:
            headers.setdefault("WWW-Authenticate", 'Bearer realm="valueverse"')
        return Response(orjson.dumps(document), status, headers, MEDIA_TYPE)


def unacceptable(refusal: RefusalError) -> Problem:
    """The answer to a value of the body that is refused, with its place."""
    path = refusal.path if refusal.path.partition(".")[0].partition("[")[0] == "body" else f"body.{refusal.path}"
    place = {"path": path, "message": refusal.message}
    return Problem("invalid-request", "One or more values are not acceptable.", errors=[place])


def problem_of(error: Exception) -> Problem:
    """What to answer with for an exception of the framework or of ours."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ClientDisconnect):
        return Problem("malformed-request", "The connection ended before the body did.")
    if isinstance(error, RequestValidationError):
        return Problem(
            "invalid-request",
            "One or more values are not acceptable.",
            errors=[field_error(one) for one in error.errors()],
        )
    if isinstance(error, HTTPException):
        name = _BY_STATUS.get(error.status_code, "malformed-request" if error.status_code < 500 else "internal-error")
        return Problem(name, KINDS[name].cure, headers=error.headers)
    return Problem("internal-error", "The request failed on our side.")


def field_error(error: Mapping[str, Any], *below: str) -> dict[str, str]:
    """Where a value is not acceptable and why, as pydantic says it; ``below``: what the place lies in."""
    # Without the input: it may be a secret that somebody put in the wrong place.
    place = [str(part) for part in (*below, *error.get("loc", ()))]
    return {"path": ".".join(place), "message": str(error.get("msg", "not acceptable"))}
