"""The serving API: ``create_app`` joins the routers, ``app`` is what the server process runs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import asyncpg
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from granian.utils.proxies import wrap_asgi_with_proxy_headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from serving_api import openapi
from serving_api.answer_headers import VERSION
from serving_api.dialects import current_usage, ingest, meter_queries, stripe_events
from serving_api.dialects.errors import answer_problem
from serving_api.groups import elsewhere
from serving_api.middleware import Frame
from serving_api.request_log import RequestLog
from serving_api.routes import (
    accounts,
    audit,
    catalogs,
    customers,
    docs,
    event_fates,
    event_stream,
    events,
    explained_lines,
    invoices,
    operations,
    rejected_events,
    stated_money,
    upcoming,
    usage,
    writes,
)
from serving_api.routes.computations import reratings, simulations
from serving_api.routes.identity import (
    api_keys,
    invitations,
    me,
    own_account,
    password_reset,
    portal,
    sessions,
    sign_in,
    users,
)
from serving_api.routes.identity.provider_sign_on import log_in, provider
from serving_api.routes.privacy import payment_instruments, restrictions
from serving_api.routes.value import commits, models, runs
from serving_api.routes.webhooks import deliveries, endpoints
from serving_api.security.rate_limits import REQUESTS
from serving_api.service import Service
from valueverse.errors import RefusalError
from valueverse.platform import descriptors
from valueverse.platform.garbage import keep_what_is_loaded
from valueverse.platform.settings import Settings, get_settings
from valueverse.platform.telemetry import tracing
from valueverse.platform.telemetry.logs import make_log

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import structlog
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send

    from serving_api.invoice_reads import InvoiceReads

_MODULES = {
    "": (sessions, sign_in, log_in, own_account, password_reset, me, operations),
    "billing": (
        api_keys,
        users,
        invitations,
        provider,
        portal,
        events,
        event_fates,
        audit,
        invoices,
        explained_lines,
        upcoming,
        customers,
        accounts,
        stated_money,
        usage,
        writes,
        catalogs,
        simulations,
        reratings,
        rejected_events,
        endpoints,
        deliveries,
        restrictions,
        payment_instruments,
        ingest,
        stripe_events,
        meter_queries,
        current_usage,
    ),
    "architect": (models,),
    "committer": (commits,),
    "executor": (runs,),
}
"""Modules of routes by group; those of none are in every process."""


class Api(FastAPI):
    """The application, which looks first for the most asked question."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; begin and end the app."""
        if scope["type"] == "http":
            reads: InvoiceReads = self.state.service.reads
            read = reads.find(scope)
            if read is not None:
                # What is traced goes the usual way, where its span is opened.
                if not tracing.is_on() and await reads.reply(read, send):
                    return
                scope["invoice_read"] = read
        await super().__call__(scope, receive, send)


def create_app(
    settings: Settings,
    *,
    log: structlog.typing.FilteringBoundLogger | None = None,
    request_log: RequestLog | None = None,
    requests_a_minute: int = REQUESTS,
) -> FastAPI:
    """The API over the servers of ``settings``. Neither file nor server is touched before it starts or is
    asked.

    Args:
        settings: where Postgres, Valkey and the keys are.
        log: where to write JSON lines; standard output if left out.
        request_log: the same of those about requests.
        requests_a_minute: every tenant's limit.
    """
    service = Service(settings, log or make_log(), requests_a_minute, request_log or RequestLog())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        tracing.begin(settings, "valueverse-api")
        await _begin(service)
        yield
        await service.close()
        await anyio.to_thread.run_sync(tracing.end)

    app = Api(
        title="ValueVerse",
        version=VERSION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        strict_content_type=False,
        middleware=[*_proxy_headers(settings), Middleware(Frame, service=service)],
        exception_handlers={HTTPException: answer_problem, RequestValidationError: answer_problem},
    )
    app.state.service = service
    _add_routes(app, settings)

    def described() -> dict[str, Any]:
        return openapi.complete(app)

    app.openapi = described  # type: ignore[method-assign]  # FastAPI's own way to replace it
    return app


def _proxy_headers(settings: Settings) -> list[Middleware]:
    """What takes the client's address from the header of a proxy that is trusted; nothing where none is."""
    trusted = list(settings.proxies)
    return [Middleware(wrap_asgi_with_proxy_headers, trusted_hosts=trusted)] if trusted else []


def _add_routes(app: FastAPI, settings: Settings) -> None:
    """Every route of the groups that this process serves; of the others, an answer that says who serves them."""
    # First, so that the most asked question is matched first; plain, so that nothing is parsed twice.
    routes: dict[str, list[BaseRoute]] = {
        "billing": [
            Route("/v1/invoices/{number}", invoices.get_invoice, methods=["GET"]),
            # Before the address that takes any path.
            *event_stream.router.routes,
            Route(event_fates.PATH, event_fates.get_event, methods=["GET"]),
        ],
        "": [
            Route("/v1/.well-known/jwks.json", sessions.jwks, methods=["GET"]),
            Route("/openapi.json", docs.document, methods=["GET"]),
            Route("/docs", docs.page, methods=["GET"]),
            Route("/docs/{name}", docs.asset, methods=["GET"]),
        ],
    }
    served = {"", *settings.groups}
    app.router.routes[:0] = [route for group, plain in routes.items() if group in served for route in plain]
    for group, modules in _MODULES.items():
        for router in (module.router for module in modules):
            routes.setdefault(group, []).extend(router.routes)
            if group in served:
                app.include_router(router, dependencies=[Depends(writes.judge_media)])
    for group in routes.keys() - served:
        app.router.routes += elsewhere(routes[group], group, settings)
    app.state.routes = [route for group in _MODULES for route in routes[group]]


async def _begin(service: Service) -> None:
    # A failed row-level security check ends the process; a server that is still starting does not.
    try:
        service.ring.signer()
        service.listening.begin()
        await service.database.open()
    except RefusalError as refusal:
        service.log.critical("refusing to serve", code=refusal.code, reason=refusal.message)
        raise
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
        service.log.warning("started without the database", reason=str(error) or type(error).__name__)
    else:
        service.log.info("ready to serve", version=VERSION, groups=service.settings.api_groups or "all")


descriptors.raise_limit()
app = create_app(get_settings())
keep_what_is_loaded()
