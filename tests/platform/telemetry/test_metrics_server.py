"""``/metrics``: what several processes have counted, as one sum."""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from prometheus_client.parser import text_string_to_metric_families

from valueverse.platform.telemetry import FOLDER_VARIABLE
from valueverse.platform.telemetry.metrics_server import WorkerMetrics, metrics_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_WORKER = """
import sys
from prometheus_client import Counter, Gauge
Counter("jobs", "Jobs.", ["kind"]).labels("a").inc(2)
Gauge("busy", "Busy.", multiprocess_mode="livesum").inc()
print("counted", flush=True)
sys.stdin.read()
"""


@contextmanager
def worker(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-c", _WORKER],
        env={FOLDER_VARIABLE: str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout
        process.stdout.readline()
        yield


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = metrics_server([WorkerMetrics(folder)], "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def values(address: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{address}/metrics") as answer:
        text = answer.read().decode()
    return {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}


def test_counts_are_of_all_processes_and_gauges_of_those_that_live(tmp_path: Path) -> None:
    with served(tmp_path) as address:
        assert values(address) == {}
        with worker(tmp_path / "api"):
            with worker(tmp_path / "api"), worker(tmp_path / "queue"):
                assert values(address) == {"jobs_total": 6, "busy": 3}
            assert values(address) == {"jobs_total": 6, "busy": 1}


@pytest.mark.parametrize("path", ["/", "/metrics/x", "/../etc/passwd", "/healthz"])
def test_nothing_but_metrics_is_answered(tmp_path: Path, path: str) -> None:
    with served(tmp_path) as address, pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{address}{path}")
