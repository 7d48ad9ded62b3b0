"""Answers to reads: finished bytes with an ETag, or 304 when the client has them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson
from fastapi.routing import APIRoute
from starlette.responses import Response

from serving_api.problems import Problem
from valueverse.money import minor_text, minor_units

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from starlette.requests import Request

JSON = "application/json"
PRIVATE = "private, no-cache"
"""The client may cache it and revalidates it each time."""
IF_MATCH: dict[str, Any] = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "ETag of what the change is made to, as it was read.",
    "schema": {"type": "string"},
    "example": '"2f0e9c6f6a4d1b8f0c7b6a5d4e3f2a1b"',
}


def media_of(request: Request, default: str = "") -> tuple[str, bool]:
    """The media type that the headers state, in small letters, and that they state no character set but UTF-8."""
    media, _, parameters = request.headers.get("content-type", default).partition(";")
    parameters = parameters.replace(" ", "").replace('"', "").lower()
    return media.strip().lower(), "charset=" not in parameters or "charset=utf-8" in parameters


def require_media(request: Request, *kinds: str) -> None:
    """Refuse a body of another media type, or of another encoding than UTF-8; one without a type has the first.

    Raises:
        Problem: ``unsupported-media-type``.
    """
    given, is_utf8 = media_of(request, kinds[0])
    if given not in kinds or not is_utf8:
        headers = {"Accept-Post": ", ".join(kinds)} if request.method == "POST" else None
        raise Problem("unsupported-media-type", f"Send {' or '.join(kinds)}, in UTF-8.", headers=headers)


def body_kinds(request: Request) -> list[str]:
    """Media types that the description of the request's route lists for its body; none: it has no body."""
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return []
    described = (route.openapi_extra or {}).get("requestBody", {}).get("content", {})
    return [*described] or ([JSON] if route.body_field is not None else [])


def refuse_repeated(request: Request) -> None:
    """A parameter that is given twice is refused: of two values of a filter one would be dropped in silence.

    Raises:
        Problem: ``invalid-request``, naming each of them.
    """
    given = [name for name, _ in request.query_params.multi_items()]
    repeated = sorted({name for name in given if given.count(name) > 1})
    if repeated:
        errors = [{"path": f"query.{name}", "message": "given more than once"} for name in repeated]
        raise Problem("invalid-request", "A parameter is given more than once.", errors=errors)


def refuse_parameters(request: Request) -> None:
    """An address that takes no parameters is refused with any, as a misspelt filter is elsewhere.

    Raises:
        Problem: ``invalid-request``, naming each of them.
    """
    if names := sorted(set(request.query_params)):
        errors = [{"path": f"query.{name}", "message": "no such parameter"} for name in names]
        raise Problem("invalid-request", "This address takes no parameters.", errors=errors)


def respond(
    request: Request, body: bytes, kind: str = "application/json", more: Mapping[str, str] | None = None
) -> Response:
    """``body`` (JSON unless ``kind`` says else), or 304 if the request names its ETag."""
    tag = tag_of(body)
    headers = {**finished(tag), **(more or {})}
    if matches(request.headers.getlist("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, 200, headers, kind)


def finished(tag: str) -> dict[str, str]:
    """Headers of an answer with an ETag."""
    return {"ETag": tag, "Cache-Control": PRIVATE}


def tag_of(body: bytes) -> str:
    """The strong ETag of an answer."""
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def require_match(request: Request, body: bytes) -> None:
    """Refuse a change of something else than what the client has read (RFC 9110, If-Match, strong comparison).

    Raises:
        Problem: ``precondition-required``, ``precondition-failed``.
    """
    given = request.headers.getlist("if-match")
    if not given:
        raise Problem("precondition-required", "A change needs If-Match with the ETag of what it changes.")
    named = {one.strip() for header in given for one in header.split(",")}
    if not named & {"*", tag_of(body)}:
        raise Problem("precondition-failed", "If-Match is not the ETag of what is there now.")


def matches(given: Sequence[str], tag: str) -> bool:
    """Whether an If-None-Match header names ``tag`` (RFC 9110, weak comparison)."""
    named = [one.strip() for header in given for one in header.split(",")]
    return "*" in named or tag in (one.removeprefix("W/") for one in named)


def page(rows: Sequence[Any], limit: int, cursor: str | None) -> bytes:
    """A page of a list; ``cursor`` is that of its last row, if more follow."""
    return orjson.dumps({"data": list(rows[:limit]), "has_more": cursor is not None, "next_cursor": cursor})


def amount(minor: int, currency: str) -> str:
    """An amount in major units with the currency's decimals, as text: ``7881, "USD"`` is ``78.81``."""
    return minor_text(minor, minor_units(currency))
