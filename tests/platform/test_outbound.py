"""Requests to addresses that tenants choose: what is not public is refused when the connection is made."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from valueverse.platform.outbound import MOST_READ, Answer, GuardedNetwork, Message, is_public, post, send

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.anyio
REFUSED = Answer(None, "the address is not a public one")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.security
@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
     "255.255.255.255", "198.18.0.1", "::1", "::", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
     "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a00:1", "2002:7f00:1::", "2001:0:7f00:1::",
     "168.63.129.16", "192.0.0.192", "192.88.99.1", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "fec0::1",
     "100::1", "5f00::1"],
)  # fmt: skip
def test_an_address_that_is_not_public_is_known_in_whatever_form_it_is_written(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "93.184.215.14",
        "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
        "64:ff9b::5db8:d70e",
        "::ffff:93.184.215.14",
        "2002:5db8:d70e::",
    ],
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@contextlib.contextmanager
def listening(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers each connection with ``answer``; its port, and what it was sent."""
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection, contextlib.suppress(OSError):
                        received.append(connection.recv(65_536))
                        connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], received
        server.shutdown(socket.SHUT_RDWR)
    thread.join(10)


@pytest.mark.security
async def test_a_name_that_resolves_to_another_address_the_second_time_is_resolved_once() -> None:
    asked: list[str] = []

    async def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["93.184.215.14"] if len(asked) == 1 else ["127.0.0.1"]

    with listening(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as (port, received):
        url = f"http://rebinding.test:{port}/"
        # The first answer is public, and it is that address which is connected to: nothing listens there.
        first = await post(url, {}, b"x", GuardedNetwork(private=False, resolver=rebinding), 0.3)
        assert first.status is None
        assert asked == ["rebinding.test"]
        assert await post(url, {}, b"x", GuardedNetwork(private=False, resolver=rebinding), 5) == REFUSED
    assert received == []


@pytest.mark.security
async def test_one_private_address_among_public_ones_refuses_them_all() -> None:
    async def mixed(_host: str, _port: int) -> list[str]:
        return ["93.184.215.14", "169.254.169.254"]

    assert await post("http://mixed.test/", {}, b"", GuardedNetwork(private=False, resolver=mixed), 5) == REFUSED


@pytest.mark.security
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
async def test_loopback_is_refused_by_every_name_that_the_system_takes(host: str) -> None:
    with listening(b"") as (port, received):
        answer = await post(f"http://{host}:{port}/", {}, b"x", GuardedNetwork(private=False), 5)
    assert answer.status is None
    assert received == []


@pytest.mark.security
async def test_a_redirect_is_an_answer_like_others_and_is_not_followed() -> None:
    with listening(b"") as (inner, received):
        redirect = f"HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:{inner}/\r\nContent-Length: 0\r\n\r\n".encode()
        with listening(redirect) as (port, _):
            assert await post(f"http://127.0.0.1:{port}/", {}, b"x", GuardedNetwork(private=True), 5) == Answer(307)
    assert received == []


async def test_an_endless_body_is_read_no_further_than_its_bound() -> None:
    body = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"x" * MOST_READ + b"\r\n1\r\nx\r\n"
    with listening(body) as (port, _):
        assert await post(f"http://127.0.0.1:{port}/", {}, b"x", GuardedNetwork(private=True), 5) == Answer(200)


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        (b"", {"the connection failed: RemoteProtocolError", "the connection failed: ReadError"}),
        (b"nonsense\r\n\r\n", {"the connection failed: RemoteProtocolError"}),
    ],
)
async def test_an_answer_that_is_none_is_a_failure(answer: bytes, reasons: set[str]) -> None:
    with listening(answer) as (port, _):
        found = await post(f"http://127.0.0.1:{port}/", {}, b"x", GuardedNetwork(private=True), 5)
    assert found.status is None
    assert found.reason in reasons


async def test_a_name_that_does_not_resolve_is_a_failure() -> None:
    async def nothing(_host: str, _port: int) -> list[str]:
        raise socket.gaierror

    found = await post("http://nowhere.test/", {}, b"", GuardedNetwork(private=False, resolver=nothing), 5)
    assert found == Answer(None, "the connection failed: ConnectError")


async def test_an_endpoint_that_sends_its_answer_drop_by_drop_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert await post(url, {}, b"x", GuardedNetwork(private=True), 0.2) == Answer(None, "no answer within 0 s")


async def test_the_status_decides_whatever_becomes_of_the_body() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"
    with listening(head) as (port, _):  # and the connection ends
        assert await post(f"http://127.0.0.1:{port}/", {}, b"x", GuardedNetwork(private=True), 5) == Answer(200)
        cut = await send(Message("GET", f"http://127.0.0.1:{port}/"), GuardedNetwork(private=True), 5, 10)
        assert (cut.status, cut.body) == (200, b"x")
        assert cut.reason is not None
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(head)
                while not over.wait(0.05):
                    connection.sendall(b"x")

        over = threading.Event()
        thread = threading.Thread(target=drip)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert await post(url, {}, b"x", GuardedNetwork(private=True), 0.5) == Answer(200)
        over.set()
        thread.join(10)
