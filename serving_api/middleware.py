"""The outermost layer: request id, size, version, security headers, a log line, an answer for every error."""

from __future__ import annotations

import re
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import structlog
from starlette.datastructures import Headers

from serving_api import metrics
from serving_api.dialects.errors import dialect_of, error_answer
from serving_api.problems import Problem, problem_of
from valueverse.errors import RefusalError
from valueverse.landing.dialects import MOST_BYTES
from valueverse.platform.telemetry import tracing

if TYPE_CHECKING:
    from opentelemetry.trace import Span
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

VERSION = "2026-11-01"
"""The API's one version so far; a date, so that a client can pin the day it was written."""

MAX_BODY = 64 * 1024
"""Bytes of a request's body, as it is sent."""
MAX_BODIES = {
    ("POST", "/v1/events"): 16 * 2**20,
    ("POST", "/v1/catalogs"): 2**20,
    ("POST", "/v1/catalogs/check"): 2**20,
    ("POST", "/v1/simulations"): 2**21,
    ("POST", "/v1/reratings"): 2**21,
}
"""The same of routes that take more; the dialects of others have a bound of their own."""
VALUE_MODELS = "/v1/value-models"
MAX_MODEL = 2**18
"""The same of routes below it: a model, or what it is run with."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
PATIENCE = 60
"""Seconds that a body may take to come."""

_REQUEST_ID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")

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


_STATIC = [(name.encode(), value.encode()) for name, value in (*SECURITY_HEADERS.items(), ("api-version", VERSION))]


@dataclass
class Exchange:
    """What is known of one request while it is answered; it is in ``scope["exchange"]``."""

    request_id: str
    arrived: float
    """``time.monotonic()`` when the request reached us."""
    tenant: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    """Headers for the answer, whatever it will be."""


class Frame:
    """Pure ASGI middleware: nothing is copied, and context variables stay those of the request."""

    def __init__(self, app: ASGIApp, log: structlog.typing.FilteringBoundLogger) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; begin and end the app."""
        if scope["type"] != "http":
            await self._live(scope, receive, send)
            return
        given = Headers(scope=scope)
        offered = given.get("x-request-id", "")
        exchange = Exchange(offered.lower() if _REQUEST_ID.fullmatch(offered) else str(uuid.uuid4()), time.monotonic())
        scope["exchange"] = exchange
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _complete(message, exchange)
            await send(message)

        with (
            structlog.contextvars.bound_contextvars(request_id=exchange.request_id, tenant=None),
            metrics.IN_PROGRESS.track_inprogress(),
            tracing.span("request", "server", given.get(tracing.TRACEPARENT)) as span,
        ):
            try:
                most = _most(scope)
                _check(given, most)
                await self._app(scope, _limited(receive, most, exchange.arrived + PATIENCE), sending)
            except Exception as error:
                problem = problem_of(error)
                if problem.status_code >= 500:
                    self._log.error("request failed", exc_info=error)
                if status:
                    raise
                await error_answer(problem, scope["path"], exchange.request_id)(scope, receive, sending)
            finally:
                self._account(scope, exchange, status, span)

    def _account(self, scope: Scope, exchange: Exchange, status: int, span: Span | None) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route, seconds = _route(scope), time.monotonic() - exchange.arrived
        metrics.count_request(method, route, status, seconds)
        if span is not None:
            _describe(span, method, route, status, exchange)
        self._log.info(
            "request",
            method=method,
            route=route,
            status=status,
            tenant=exchange.tenant,
            milliseconds=round(seconds * 1000, 2),
        )

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed":
                # The framework would put a traceback here; the log has the reason, in one line.
                message = {
                    "type": message["type"],
                    "message": message.get("message", "").strip().split("\n")[-1],
                }
            await send(message)

        with suppress(RefusalError):
            await self._app(scope, receive, sending)


def _most(scope: Scope) -> int:
    if dialect_of(scope["path"]):
        return MOST_BYTES
    usual = MAX_MODEL if scope["path"].startswith(VALUE_MODELS) else MAX_BODY
    return MAX_BODIES.get((scope["method"], scope["path"]), usual)


def _describe(span: Span, method: str, route: str | None, status: int, exchange: Exchange) -> None:
    span.update_name(f"{method} {route or metrics.NO_ROUTE}")
    span.set_attributes(
        {
            "http.request.method": method,
            "http.route": route or metrics.NO_ROUTE,
            "http.response.status_code": status,
            "valueverse.request_id": exchange.request_id,
        }
    )
    if exchange.tenant is not None:
        span.set_attribute("valueverse.tenant", exchange.tenant)
    if status >= 500 or not status:
        span.set_attribute("error.type", str(status))


def _route(scope: Scope) -> str | None:
    """The template of the address: paths hold customers' keys and whatever an attacker likes to write into a log."""
    path = getattr(scope.get("route"), "path", None)
    if path is None and "endpoint" in scope:
        # Plain routes are only in the list.
        routes = scope["app"].state.routes
        path = next((one.path for one in routes if one.endpoint is scope["endpoint"]), None)
    return path


def _complete(message: Message, exchange: Exchange) -> None:
    """Add to an answer's headers what every answer has; what a route has set itself stays."""
    own = list(message.get("headers", ()))
    stated = {name for name, _ in own}
    own += [header for header in _STATIC if header[0] not in stated]
    own.append((b"x-request-id", exchange.request_id.encode()))
    own += [(name.lower().encode(), value.encode()) for name, value in exchange.headers.items()]
    message["headers"] = own


def _check(given: Headers, most: int) -> None:
    version = given.get("api-version")
    if version is not None and version != VERSION:
        raise Problem("unsupported-version", f"Api-Version is not one of: {VERSION}")
    length = given.get("content-length", "0")
    if not length.isascii() or not length.isdigit():
        raise Problem("malformed-request", "Content-Length is not a number")
    if int(length[:20]) > most:
        raise _too_large(most)


def _limited(receive: Receive, most: int, until: float) -> Receive:
    """The request's body, up to ``most`` bytes, all of which come by ``until``; what follows it may take its time."""
    size, whole = 0, False

    async def receiving() -> Message:
        nonlocal size, whole
        if whole:
            return await receive()
        message = None
        with anyio.move_on_after(max(0, until - time.monotonic())):
            message = await receive()
        if message is None:
            headers = {"Connection": "close"}
            raise Problem("request-timeout", f"The body did not come within {PATIENCE} seconds.", headers=headers)
        whole = not message.get("more_body", False)
        size += len(message.get("body", b""))
        if size > most:
            raise _too_large(most)
        return message

    return receiving


def _too_large(most: int) -> Problem:
    # The rest of the body is not read, so the connection cannot go on.
    return Problem("body-too-large", f"The body is longer than {most} bytes", headers={"Connection": "close"})
