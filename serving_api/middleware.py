"""The outermost layer: request id, size, version, security headers, a log line, an answer for every error."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import structlog
from starlette.datastructures import Headers

from serving_api import metrics
from serving_api.answer_cache import PATH
from serving_api.answer_headers import VERSION, completed, encoded, request_id
from serving_api.dialects.errors import dialect_of, error_answer
from serving_api.problems import Problem, problem_of
from valueverse.errors import RefusalError
from valueverse.landing.dialects import MOST_BYTES
from valueverse.platform.telemetry import tracing

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from serving_api.invoice_reads import Read
    from serving_api.service import Service

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

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service
        self._log = service.log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; begin and end the app."""
        if scope["type"] != "http":
            await self._live(scope, receive, send)
            return
        read: Read | None = scope.get("invoice_read")
        given = Headers(scope=scope)
        exchange = Exchange(request_id(given.get("x-request-id")), read.arrived if read else time.monotonic())
        scope["exchange"] = exchange
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                own = {"X-Request-ID": exchange.request_id, **exchange.headers}
                message["headers"] = completed(message.get("headers", ())) + encoded(own)
            await send(message)

        with (
            structlog.contextvars.bound_contextvars(request_id=exchange.request_id, tenant=None),
            metrics.IN_PROGRESS.track_inprogress(),
            tracing.span("request", "server", given.get(tracing.TRACEPARENT)) as span,
            self._service.bodies.held() as take,
        ):
            try:
                most = _most(scope)
                _check(given, most)
                if read is not None:
                    await self._service.reads.serve(read, scope, sending)
                else:
                    limited = _limited(receive, most, exchange.arrived + PATIENCE, take)
                    await self._app(scope, limited, sending)
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
        ids = {name: value for name, value in structlog.contextvars.get_contextvars().items() if name != "tenant"}
        self._service.request_log.add(method, route, status, exchange.tenant, seconds, ids)

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
    if "invoice_read" in scope:
        return PATH
    path = getattr(scope.get("route"), "path", None)
    if path is None and "endpoint" in scope:
        # Plain routes are only in the list.
        routes = scope["app"].state.routes
        path = next((one.path for one in routes if one.endpoint is scope["endpoint"]), None)
    return path


def _check(given: Headers, most: int) -> None:
    version = given.get("api-version")
    if version is not None and version != VERSION:
        raise Problem("unsupported-version", f"Api-Version is not one of: {VERSION}")
    length = given.get("content-length", "0")
    if not length.isascii() or not length.isdigit():
        raise Problem("malformed-request", "Content-Length is not a number")
    if int(length[:20]) > most:
        raise _too_large(most)


def _limited(receive: Receive, most: int, until: float, take: Callable[[int], None]) -> Receive:
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
        take(len(message.get("body", b"")))
        return message

    return receiving


def _too_large(most: int) -> Problem:
    # The rest of the body is not read, so the connection cannot go on.
    return Problem("body-too-large", f"The body is longer than {most} bytes", headers={"Connection": "close"})
