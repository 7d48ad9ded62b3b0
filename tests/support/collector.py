"""A collector of OpenTelemetry: rotel, which writes the spans that it receives to its output."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import rotel

if TYPE_CHECKING:
    from collections.abc import Iterator

_PROGRAM = Path(rotel.__file__).parent / "rotel-agent"
_SPAN = re.compile(
    r"Trace ID +: (?P<trace>\w+)\n +Parent ID +: (?P<parent>\w*)\n +ID +: (?P<id>\w+)\n +Name +: (?P<name>[^\n]+)\n"
    r" +Kind +: (?P<kind>\w+)\n.*?Status code +: (?P<status>\w+)\n +Status message :(?P<message>[^\n]*)\n"
    r"(?:Attributes:\n(?P<attributes>(?: +-> [^\n]*\n)*))?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Span:
    """A span as the collector has it."""

    trace: str
    parent: str
    id: str
    name: str
    kind: str
    status: str
    message: str
    attributes: dict[str, str] = field(hash=False)


@dataclass(frozen=True)
class Collector:
    """A running collector."""

    address: str
    output: Path

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def spans(self, trace: str, at_least: int = 1) -> dict[str, Span]:
        """The spans of a trace by their names, once there are so many."""
        deadline = time.monotonic() + 60
        while True:
            found = [_span(match) for match in _SPAN.finditer(self.text() + "\n")]
            found = [one for one in found if one.trace == trace]
            if len(found) >= at_least:
                return {one.name: one for one in found}
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)


def _span(match: re.Match[str]) -> Span:
    parts = match.groupdict()
    attributes = re.findall(r"-> ([^:]+): \w+\(([^\n]*)\)\n", parts.pop("attributes") or "")
    return Span(**{name: (text or "").strip() for name, text in parts.items()}, attributes=dict(attributes))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def collecting(folder: Path) -> Iterator[Collector]:
    """A collector until the block ends, with its files in ``folder``."""
    http, grpc = _free_port(), _free_port()
    output = folder / "collector.log"
    command = [
        *(str(_PROGRAM), "start", "--otlp-http-endpoint", f"127.0.0.1:{http}"),
        *("--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--exporter", "blackhole"),
        *("--debug-log", "traces", "--debug-log-verbosity", "detailed", "--pid-file", str(folder / "collector.pid")),
    ]
    with output.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, output.read_text(encoding="utf-8")
            try:
                socket.create_connection(("127.0.0.1", http), 1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield Collector(f"http://127.0.0.1:{http}", output)
    finally:
        process.terminate()
        process.wait(30)
