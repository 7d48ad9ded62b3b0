"""The API as a server process: over the wire, under schemathesis, and until its signal to stop."""

from __future__ import annotations

import gzip
import json
import re
import signal
import socket
import threading
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
import redis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from serving_api.answer_headers import SECURITY_HEADERS
from serving_api.app import app
from serving_api.idempotency import PARAMETER
from tests.support.billing_rows import secret_of
from tests.support.landing import event
from tests.support.laws import law
from tests.support.serving import bearer, canonical, invoice_document, seed_log
from tests.support.serving_process import free_port, running, start
from valueverse.platform.access.api_keys import issue_api_key
from valueverse.platform.warehouse import connect
from valueverse.services.operations.export_metrics import exporter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemathesis.schemas import BaseSchema

    from tests.support.serving_process import Server
    from valueverse.platform.settings import Settings

pytestmark = pytest.mark.integration

UPCOMING = "/v1/customers/{key}/upcoming-invoice"
RELATED = {
    *("/v1/events", "/v1/audit/consistency", "/v1/invoices/preview", UPCOMING, "/v1/webhook-deliveries"),
    *(
        path
        for path, item in app.openapi()["paths"].items()
        if any(one["name"] == "known_at" for one in item.get("get", {}).get("parameters", []))
    ),
}
"""Routes with values that no schema limits: events that were quarantined have no customer, trees grow, what may be
previewed ends three years from now, what was known is of the past, instants are of some centuries."""
FOLLOWED = "/v1/events/stream"
"""Answers as long as it is asked to: test_event_stream.py has its requests, good and bad."""
OPERATIONS = [
    (path, method.upper()) for path, item in app.openapi()["paths"].items() for method in item if path != FOLLOWED
]
WRITING = {
    (path, method.upper())
    for path, item in app.openapi()["paths"].items()
    for method, operation in item.items()
    if PARAMETER in operation.get("parameters", [])
}

ANSWERED = {"/v1/events", "/v1/catalogs/check"}


@pytest.fixture(scope="module")
def keys(keys: dict[str, str], module_settings: Settings) -> dict[str, str]:
    """Keys that may do everything, so that writes are read and judged."""
    seed_log(module_settings)
    with connect(module_settings, "builder") as connection:
        return {tenant: issue_api_key(connection, tenant, ["admin"]) for tenant in keys}


@pytest.fixture(scope="module")
def server(
    module_settings: Settings, keys: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("server") / "api.log"
    with running(module_settings, keys, log, workers=2) as started:
        yield started


def test_invoices_come_over_the_wire_to_the_right_tenant(server: Server) -> None:
    headers = server.sign_in("acme")
    listed = httpx.get(f"{server.address}/v1/invoices", headers=headers, timeout=60).json()["data"]
    assert [row["total"] for row in listed] == ["71.12", "71.12"]
    answer = httpx.get(f"{server.address}/v1/invoices/acme-000001", headers=headers, timeout=60)
    assert answer.content == canonical(invoice_document("acme", "acme-000001")).encode()
    other = httpx.get(f"{server.address}/v1/invoices/acme-000001", headers=server.sign_in("birch"), timeout=60)
    assert (other.status_code, other.headers["content-type"]) == (404, "application/problem+json")


def test_the_log_is_json_without_secrets(server: Server) -> None:
    headers = server.sign_in("acme")
    httpx.get(f"{server.address}/v1/invoices", headers=headers, timeout=60)
    text = server.log.read_text()
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert any(line["event"] == "request" and line["route"] == "/v1/invoices" for line in lines)
    assert server.keys["acme"] not in text
    assert headers["Authorization"][7:] not in text


def test_counts_of_all_worker_processes_are_one_sum(server: Server, module_settings: Settings) -> None:
    def requests_of_health() -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{exported.server_port}/metrics") as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        samples = [sample for family in families for sample in family.samples]
        assert any(sample.name == "valueverse_inbox_oldest_seconds" for sample in samples)
        return sum(
            sample.value
            for sample in samples
            if sample.name == "valueverse_http_requests_total" and sample.labels["route"] == "/healthz"
        )

    exported = exporter(module_settings, 0)
    thread = threading.Thread(target=exported.serve_forever, args=(0.01,))
    thread.start()
    try:
        before = requests_of_health()
        for _ in range(40):
            # A connection each, so that the kernel gives some of them to either worker.
            assert httpx.get(f"{server.address}/healthz", timeout=60).status_code == 200
        assert requests_of_health() == before + 40
    finally:
        exported.shutdown()
        thread.join()
        exported.server_close()
    counting = list((module_settings.metrics_dir / "api").glob("counter_*.db"))
    assert len(counting) == 2
    assert httpx.get(f"{server.address}/metrics", timeout=60).status_code == 404


@pytest.mark.security
@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /v1/invoices\r\n\r\n", b"BREW /v1/invoices HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
        b"GET /v1/invoices HTTP/1.1\r\nHost: x\r\nX-Request-ID: a\r\n Set-Cookie: evil=1\r\n\r\n",
        b"GET /v1/%0d%0aSet-Cookie:evil=1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/customers/%ff%fe/usage HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n",
        (b"POST /v1/sessions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\nGET /x HTTP/1.1\r\n\r\n"),
        b"GET /v1/invoices HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer \xff\xfe\r\n\r\n",
    ],
)  # fmt: skip
def test_a_malformed_request_is_answered_or_dropped_and_the_server_lives(server: Server, request_bytes: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(request_bytes)
        try:
            answer = connection.recv(65_536)
        except (TimeoutError, ConnectionResetError):
            answer = b""
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"set-cookie" not in head
    assert b" 500 " not in head
    assert b"Traceback" not in answer
    if head and b"x-content-type-options" not in head:
        # The server's own answer, which has no headers of ours: there is nothing in it to be read (docs/api.md).
        assert re.match(rb"http/1\.1 (400|414|431) ", head)
        assert b"\r\ncontent-length: 0" in head
    assert httpx.get(f"{server.address}/healthz", timeout=60).status_code == 200


@pytest.fixture(scope="module")
def document() -> BaseSchema:
    """The app's OpenAPI document, as schemathesis reads it."""
    return schemathesis.openapi.from_dict(app.openapi())


@pytest.mark.security
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_the_server_answers_is_what_the_document_says(
    server: Server, module_settings: Settings, document: BaseSchema, path: str, method: str
) -> None:
    """Schemathesis makes requests good and bad; its checks hold each answer against the document."""
    operation = document[path][method]
    anonymous = path == "/v1/sessions" and method == "POST"
    header = bearer(server.keys["acme"]) if anonymous else server.sign_in("acme")

    @given(data=st.data())
    @examples(law(20), suppress_health_check=list(HealthCheck), phases=[Phase.generate], database=None)
    def run(data: Any) -> None:
        mode = data.draw(st.sampled_from(list(schemathesis.GenerationMode)))
        case = data.draw(operation.as_strategy(generation_mode=mode))
        valkey.flushdb()
        answer = case.call(base_url=server.address, session=session, headers=header)
        # No schema can state which cursor is signed, which parameters go together, nor what is there to be written to.
        related = "cursor" in (case.query or {}) or path in RELATED or (path, method) in WRITING
        unfit: list[Any] = [positive_data_acceptance] if related else []
        # What is wrong with an event or a catalog is in the answer; a body that is too long is refused unread.
        answered = answer.status_code == 413 or (path in ANSWERED and case.body is not None)
        unfit += [negative_data_rejection] if answered else []
        case.validate_response(answer, excluded_checks=unfit)
        # The server itself, not the app, refuses what is no HTTP.
        if answer.headers.get("content-type"):
            assert set(SECURITY_HEADERS) <= {name.lower() for name in answer.headers}
        text = answer.content.decode("utf-8", "replace")
        assert secret_of("birch") not in text
        assert "Traceback" not in text

    with requests.Session() as session, redis.Redis.from_url(module_settings.redis_url) as valkey:
        run()


def _endless(address: tuple[str, int], key: str, encoding: str, piece: bytes, times: int) -> bytes:
    """What a server answers to a body in chunks, up to its first bytes; empty where it only ended the connection."""
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Encoding: {encoding}\r\n"
    with socket.create_connection(address, timeout=60) as wire:
        wire.sendall(f"{head}Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        try:
            for _ in range(times):
                wire.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            wire.sendall(b"0\r\n\r\n")
        except OSError:
            pass
        try:
            return wire.recv(64)
        except OSError:
            return b""


def _resident(process: psutil.Process) -> int:
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])


@pytest.mark.security
def test_huge_slow_compressed_endless_and_broken_bodies_take_bounded_memory_and_the_server_goes_on(
    server: Server,
) -> None:
    """Endless bodies and bombs of four senders at once, beside forty that stall and forty that hang up half-way."""
    process, key, address = psutil.Process(server.process.pid), server.keys["cedar"], ("127.0.0.1", server.port)
    before, peaks, over = _resident(process), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            peaks.append(_resident(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 1000\r\n\r\n{{"
    idle = [socket.create_connection(address) for _ in range(80)]
    try:
        for number, wire in enumerate(idle):
            wire.sendall(head.encode())
            if number % 2:
                wire.shutdown(socket.SHUT_WR)
        lines, bomb = b"x" * 2**20, gzip.compress(b" " * (65 * 2**20), 9)
        attacks = [("identity", lines, 64), ("gzip", bomb, 1)] * 4
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda attack: _endless(address, key, *attack), attacks))
        assert all(b" 413 " in one or one == b"" for one in answers), answers
        assert any(b" 413 " in one for one in answers)
        sent = httpx.post(
            f"{server.address}/v1/events", json=event("e-1"), headers=bearer(server.keys["birch"]), timeout=60
        )
        assert sent.status_code == 202
    finally:
        over.set()
        watcher.join()
        for wire in idle:
            wire.close()
    grown = (max(peaks) - before) / 2**20
    assert grown < 400, f"{grown:.0f} MiB more than before"
    assert "request failed" not in server.log.read_text()


def test_the_server_stops_on_its_signal(server: Server) -> None:
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) is not None


@pytest.mark.security
def test_a_server_does_not_answer_while_isolation_is_broken(settings: Settings, tmp_path: Path) -> None:
    with connect(settings, "admin") as connection:
        connection.execute("grant select on billing.invoice to valueverse_api")
    log = tmp_path / "api.log"
    process = start(settings, log, free_port())
    try:
        assert process.wait(90) != 0
    finally:
        process.kill()
    assert "has rights on tables" in log.read_text()
