"""The process that answers Prometheus: ``python -m valueverse.services.operations.export_metrics PORT``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from valueverse.platform.settings import get_settings
from valueverse.platform.telemetry.logs import make_log
from valueverse.platform.telemetry.metrics_server import WorkerMetrics, metrics_server
from valueverse.services.operations.installation_metrics import InstallationMetrics

if TYPE_CHECKING:
    from wsgiref.simple_server import WSGIServer

    from valueverse.platform.settings import Settings


def exporter(settings: Settings, port: int) -> WSGIServer:
    """A server of the installation's metrics and of what its processes have counted."""
    collectors = [WorkerMetrics(settings.metrics_dir), InstallationMetrics(settings, make_log())]
    return metrics_server(collectors, settings.metrics_host, port)


if __name__ == "__main__":
    exporter(get_settings(), int(sys.argv[1])).serve_forever()
