"""Spans of requests, of calls of Postgres and of Dagster's runs, sent over OTLP where a setting names a collector.

Without one nothing of OpenTelemetry is imported here and a span costs nothing. Spans hold names from the code, statuses
and the tenant: no statement's values, no texts of exceptions, no paths.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

    from valueverse.platform.settings import Settings

TRACEPARENT = "traceparent"
"""Header, and tag of a run, that names the span which caused it (W3C Trace Context)."""
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
_PATIENCE = 3
"""Seconds that a collector may take; what it does not take is dropped, and nothing waits for it."""

Kind = Literal["internal", "server", "client", "consumer"]


class _Tracing:
    """The provider of this process; None: spans go nowhere."""

    provider: TracerProvider | None = None


def begin(settings: Settings, service: str) -> None:
    """Send this process's spans as those of ``service``, if the settings name a collector; again changes nothing."""
    if settings.otlp_endpoint is None or _Tracing.provider is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    share = TraceIdRatioBased(settings.trace_ratio)
    # A client says whether it traces, not how many spans we send.
    sampler = ParentBased(root=share, remote_parent_sampled=share)
    provider = TracerProvider(sampler, Resource.create({"service.name": service}), shutdown_on_exit=True)
    address = f"{settings.otlp_endpoint.rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(address, timeout=_PATIENCE)))
    _Tracing.provider = provider


def end() -> None:
    """Send what is left; spans go nowhere from then on."""
    provider, _Tracing.provider = _Tracing.provider, None
    if provider is not None:
        provider.shutdown()


def flush() -> None:
    """Send what is left, within some seconds."""
    if _Tracing.provider is not None:
        _Tracing.provider.force_flush(_PATIENCE * 1000)


def is_on() -> bool:
    """Whether spans are sent."""
    return _Tracing.provider is not None


def traceparent() -> str | None:
    """Names the span that is open, for whatever it causes elsewhere; None: no spans are sent."""
    if _Tracing.provider is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get(TRACEPARENT)


@contextmanager
def span(
    name: str, kind: Kind = "internal", parent: str | None = None, attributes: Mapping[str, Any] | None = None
) -> Iterator[Span | None]:
    """A span around the block, below the one that is open or the one that ``parent`` (a traceparent) names.

    Log lines of the block carry ``trace_id``, and ``span_id`` where spans are sent. An exception marks the span as
    failed by its type.
    """
    if _Tracing.provider is None:
        found = _TRACEPARENT.fullmatch(parent or "")
        with structlog.contextvars.bound_contextvars(**{"trace_id": found.group(1)} if found else {}):
            yield None
        return
    with _sent(_Tracing.provider, name, kind, parent, attributes) as current:
        identity = current.get_span_context()
        ids = {"trace_id": f"{identity.trace_id:032x}", "span_id": f"{identity.span_id:016x}"}
        with structlog.contextvars.bound_contextvars(**ids):
            yield current


@contextmanager
def _sent(
    provider: TracerProvider, name: str, kind: Kind, parent: str | None, attributes: Mapping[str, Any] | None
) -> Iterator[Span]:
    from opentelemetry.trace import SpanKind, Status, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    above = TraceContextTextMapPropagator().extract({TRACEPARENT: parent}) if parent else None
    tracer = provider.get_tracer("valueverse")
    with tracer.start_as_current_span(
        name, above, SpanKind[kind.upper()], attributes, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
