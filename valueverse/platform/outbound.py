"""Requests to addresses that tenants choose: nothing private is reached, whatever a name resolves to at that moment."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import httpcore
import orjson

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable, Mapping

    Resolver = Callable[[str, int], Awaitable[list[str]]]

MOST_READ = 4096
"""Bytes of an answer's body that are read."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_UNICAST = ipaddress.ip_network("2000::/3")
"""All that is assigned of IPv6 for the public Internet (RFC 4291 and the registry of IANA)."""
_RESERVED = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32")))
"""Beside what Python's tables, which differ between versions, know as not public: IETF protocols, relays of 6to4, and
the address at which Azure's hosts serve their guests."""


class ForbiddenAddressError(Exception):
    """A name that resolves to an address which is not a public one."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of ``host`` now."""
    found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


def is_public(address: str) -> bool:
    """Whether an address, and one of IPv4 that it carries inside, is one of the public Internet."""
    one = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(one, ipaddress.IPv4Address):
        return _is_public(one)
    if one.ipv4_mapped is not None:
        return _is_public(one.ipv4_mapped)
    if one in _NAT64:
        return _is_public(ipaddress.IPv4Address(int(one) & 0xFFFFFFFF))
    inside = (one.sixtofour, *(one.teredo or ()))
    return one in _UNICAST and one.is_global and all(part is None or _is_public(part) for part in inside)


def _is_public(address: ipaddress.IPv4Address) -> bool:
    return address.is_global and not address.is_multicast and not any(address in network for network in _RESERVED)


class GuardedNetwork(httpcore.AsyncNetworkBackend):
    """Resolves a name once, judges what it resolves to, and connects to that very address.

    Args:
        private: addresses that are not public are reached as well.
        resolver: gives the addresses of a name.
    """

    def __init__(self, *, private: bool, resolver: Resolver = resolve) -> None:
        self._private, self._resolver = private, resolver
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, *arguments: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        """A connection to the first address of ``host``.

        Raises:
            ForbiddenAddressError: one of the addresses of ``host`` is not public.
            httpcore.ConnectError: it has none, or does not answer.
        """
        try:
            addresses = await self._resolver(host, port)
        except (OSError, UnicodeError) as error:  # the latter of a name that can be none: a part of it is too long
            raise httpcore.ConnectError("the name does not resolve") from error
        if not self._private and not all(map(is_public, addresses)):
            raise ForbiddenAddressError
        return await self._network.connect_tcp(addresses[0], port, *arguments, **options)


@dataclass(frozen=True)
class Answer:
    """What an address answered.

    Attributes:
        status: of HTTP; None: none came.
        reason: why there is none, or why the body is not whole, in words of ours.
        body: what was read of it.
    """

    status: int | None
    reason: str | None = None
    body: bytes = b""


@dataclass(frozen=True)
class Message:
    """A request to an address that a tenant chose."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def is_address(url: str, *, private: bool) -> bool:
    """Whether requests may go to ``url``: https (http too where ``private`` addresses are reached), without login and
    fragment, of at most 2000 letters of ASCII."""
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.username is None and not parts.fragment and parts.port != 0
    except ValueError:
        return False
    schemes = ("https", "http") if private else ("https",)
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= 2000
    return whole and plain and url.partition(":")[0] in schemes


def states_private_address(url: str) -> bool:
    """Whether the host of an address (``is_address``) is a number that is not public; names are judged when they are
    connected to."""
    host = (urlsplit(url).hostname or "").removesuffix(".")
    try:
        number = str(ipaddress.ip_address(host))
    except ValueError:
        try:
            # As resolvers read 127.1 and 0x7f000001.
            number = socket.inet_ntoa(socket.inet_aton(host))
        except OSError:
            return False
    return not is_public(number)


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object that another server answered; None: the body is none, or is nested too deeply.

    Answers are read by this alone: its parser has a limit of its own, where that of the standard library, and the
    libraries that use it, raise RecursionError.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


async def post(
    url: str, headers: Mapping[str, str], body: bytes, network: httpcore.AsyncNetworkBackend, seconds: float
) -> Answer:
    """Send ``body`` to ``url``, within ``seconds`` in all. No redirect is followed; the status decides, whatever
    becomes of the answer's body, none of which is stored."""
    answer = await send(Message("POST", url, headers, body), network, seconds, MOST_READ)
    return answer if answer.status is None else Answer(answer.status)


async def send(message: Message, network: httpcore.AsyncNetworkBackend, seconds: float, most: int) -> Answer:
    """Send ``message``, within ``seconds`` in all; the answer with a body of a little more than ``most`` bytes at the
    most. No redirect is followed. A body that breaks off or does not come in time gives the status and a reason."""
    status, read = None, bytearray()
    try:
        with anyio.fail_after(seconds):
            async with (
                httpcore.AsyncConnectionPool(_trusted(), network_backend=network) as pool,
                pool.stream(
                    message.method, message.url, headers=list(message.headers.items()), content=message.body
                ) as answer,
            ):
                status = answer.status
                async for part in answer.aiter_stream():
                    read += part
                    if len(read) > most:
                        break
        reason = None
    except ForbiddenAddressError:
        reason = "the address is not a public one"
    except TimeoutError:
        reason = f"no answer within {seconds:.0f} s"
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
        reason = f"the connection failed: {type(error).__name__}"
    return Answer(status, reason, bytes(read))


@cache
def _trusted() -> ssl.SSLContext:
    """The public certificate authorities, which are a megabyte: hundreds of requests share them."""
    return httpcore.default_ssl_context()
