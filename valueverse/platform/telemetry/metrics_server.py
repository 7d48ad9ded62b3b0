"""``/metrics`` for Prometheus, on an address of its own that is no part of the public API."""

from __future__ import annotations

from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

import psutil
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from wsgiref.simple_server import WSGIServer
    from wsgiref.types import StartResponse, WSGIEnvironment

    from prometheus_client.core import Metric

_merge: Callable[[list[str]], Iterable[Metric]] = MultiProcessCollector.merge


class WorkerMetrics(Collector):
    """What processes count into the files of a folder's subfolders, one for each server, added up over all of them.

    Counters of a process that has ended stay in their sums; its gauges of the present go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """The sums now; none before the first process."""
        for path in self._folder.glob("*/gauge_live*.db"):
            pid = path.stem.rpartition("_")[2]
            if pid.isdecimal() and not psutil.pid_exists(int(pid)):
                path.unlink(missing_ok=True)
        files = [str(path) for path in self._folder.glob("*/*.db")]
        return _merge(files)


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Scrapes are no news."""


def metrics_server(collectors: Iterable[Collector], host: str, port: int) -> WSGIServer:
    """A server that answers ``/metrics`` with what ``collectors`` give at that moment, and nothing else.

    Raises:
        OSError: the address is taken.
    """
    registry = CollectorRegistry()
    for collector in collectors:
        registry.register(collector)
    exposition = make_wsgi_app(registry)

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/metrics":
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"/metrics\n"]
        body: Iterable[bytes] = exposition(environ, start_response)
        return body

    return make_server(host, port, answer, ThreadingWSGIServer, handler_class=_Silent)
