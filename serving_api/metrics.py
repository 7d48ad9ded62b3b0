"""What the API counts for its operators: requests, problems, events, and what was refused under load.

No label has values that a client chooses: a route is its template, a method one of HTTP's, a problem one of ``KINDS``.
The tenant is no label (docs/decisions/1650). With ``PROMETHEUS_MULTIPROC_DIR`` set, every worker process counts into
files of that folder, and ``services.operations.export_metrics`` adds them up.
"""

from __future__ import annotations

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10)
"""Upper bounds of latencies. 0.2 and 0.5 are the goals of p95 and p99."""

REQUESTS = Counter("valueverse_http_requests", "Requests that were answered.", ["method", "route", "status"])
DURATIONS = Histogram(
    "valueverse_http_request_duration_seconds",
    "From a request's first byte to its answer's last one.",
    ["method", "route"],
    buckets=_SECONDS,
)
IN_PROGRESS = Gauge(
    "valueverse_http_requests_in_progress", "Requests that are being answered.", multiprocess_mode="livesum"
)
PROBLEMS = Counter("valueverse_http_problems", "Answers that are a problem document, by its type.", ["problem"])
LIMITED_ALONE = Counter(
    "valueverse_rate_limits_alone", "Requests whose limit a worker counted alone, because Valkey did not answer."
)
SHED = Counter("valueverse_events_shed", "Requests of events refused because bodies of others use up the memory.")
BODY_BYTES = Gauge("valueverse_events_body_bytes", "Bytes of bodies of events in memory.", multiprocess_mode="livesum")
EVENTS = Counter("valueverse_events_received", "Events that were stored before their answer.")

LINES_DROPPED = Counter(
    "valueverse_request_lines_dropped", "Lines about requests that nobody took from standard output in time."
)

NO_ROUTE = "none"
"""The route of a request that matches none."""


def count_request(method: str, route: str | None, status: int, seconds: float) -> None:
    """Count a request that was answered with ``status`` after ``seconds``; 0: the connection ended before."""
    name = route or NO_ROUTE
    _counter(method, name, status).inc()
    _histogram(method, name).observe(seconds)


@cache
def _counter(method: str, route: str, status: int) -> Counter:
    """Few: no label has values that a client chooses."""
    return REQUESTS.labels(method, route, str(status))


@cache
def _histogram(method: str, route: str) -> Histogram:
    return DURATIONS.labels(method, route)
