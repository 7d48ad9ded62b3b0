"""``Client`` and ``AsyncClient``: the operations of the API with sessions, retries and pages."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import httpx
from stamina import AsyncRetryingCaller, RetryingCaller

from valueverse_client._generated import API_VERSION
from valueverse_client._generated.async_operations import AsyncOperations
from valueverse_client._generated.operations import Operations
from valueverse_client.problems import ProblemError, raise_for_problem
from valueverse_client.requests import Asked, asked, decoded
from valueverse_client.retries import Retries
from valueverse_client.session import SessionAuth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

LOCAL = "http://127.0.0.1:8000"
HEADERS = {"User-Agent": "valueverse-client-python/0.1.0", "Api-Version": API_VERSION, "Accept-Encoding": "gzip"}
_END_SESSION = Asked("DELETE", "/v1/sessions")


Transport = TypeVar("Transport")


class _Connected(ABC, Generic[Transport]):
    """What both clients are made of."""

    def __init__(
        self,
        api_key: str,
        base_url: str = LOCAL,
        *,
        timeout: float = 30.0,
        retries: Retries | None = None,
        transport: Transport | None = None,
    ) -> None:
        self._retries = retries or Retries()
        self._session = SessionAuth(api_key, base_url)
        http = {"base_url": base_url, "auth": self._session, "timeout": timeout, "headers": HEADERS}
        self._open({**http, "transport": transport}, _stamina_options(self._retries))

    @abstractmethod
    def _open(self, http: dict[str, Any], retries: dict[str, Any]) -> None:
        """Make the pool of connections with these arguments of httpx, and what repeats a request."""

    def _backoff(self, request: Asked) -> Callable[[Exception], bool | float]:
        return lambda error: self._retries.after(error, repeatable=request.repeatable)


class Client(_Connected[httpx.BaseTransport], Operations):
    """A client of one tenant, for threads: one session and one pool of connections.

    Args:
        api_key: ``vv_…``; it is sent to open sessions alone.
        base_url: of the API, with ``https`` unless it is on this machine.
        timeout: seconds to wait for a connection, and for each part of an answer.
        retries: when a request is sent again.
        transport: of httpx, for a proxy or certificates of your own.

    Methods raise ``ProblemError`` for what the API refuses, and ``httpx.TransportError`` where it cannot be reached.
    """

    def _open(self, http: dict[str, Any], retries: dict[str, Any]) -> None:
        self._http = httpx.Client(**http)
        self._caller = RetryingCaller(**retries)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session and close the connections."""
        if self._session.is_open:
            with suppress(ProblemError, httpx.TransportError):
                self._once(_END_SESSION)
        self._http.close()

    def send(self, request: Asked) -> httpx.Response:
        """The answer to a request with its headers, such as ``ETag``, tried again as every other.

        Raises:
            ProblemError: the API refuses it, or fails.
        """
        return self._caller(self._backoff(request), self._once, request)

    def _once(self, request: Asked) -> httpx.Response:
        return raise_for_problem(self._http.request(request.method, request.address, **_parts(request)))

    def _ask(self, *parts: Any, **more: Any) -> Any:
        return decoded(self.send(asked(*parts, **more)))

    def _iterate(self, call: Callable[..., Any], **query: Any) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            page = call(**query, cursor=cursor)
            yield from page["data"]
            if (cursor := page["next_cursor"]) is None:
                return


class AsyncClient(_Connected[httpx.AsyncBaseTransport], AsyncOperations):
    """As ``Client``, for one event loop: each method is awaited, rows are iterated with ``async for``."""

    def _open(self, http: dict[str, Any], retries: dict[str, Any]) -> None:
        self._http = httpx.AsyncClient(**http)
        self._caller = AsyncRetryingCaller(**retries)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the session and close the connections."""
        if self._session.is_open:
            with suppress(ProblemError, httpx.TransportError):
                await self._once(_END_SESSION)
        await self._http.aclose()

    async def send(self, request: Asked) -> httpx.Response:
        """As ``Client.send``."""
        return await self._caller(self._backoff(request), self._once, request)

    async def _once(self, request: Asked) -> httpx.Response:
        return raise_for_problem(await self._http.request(request.method, request.address, **_parts(request)))

    async def _ask(self, *parts: Any, **more: Any) -> Any:
        return decoded(await self.send(asked(*parts, **more)))

    async def _iterate(self, call: Callable[..., Awaitable[Any]], **query: Any) -> AsyncIterator[Any]:
        cursor: str | None = None
        while True:
            page = await call(**query, cursor=cursor)
            for row in page["data"]:
                yield row
            if (cursor := page["next_cursor"]) is None:
                return


def _parts(request: Asked) -> dict[str, Any]:
    return {"params": request.query, "headers": request.headers, "content": request.content}


def _stamina_options(retries: Retries) -> dict[str, Any]:
    return {
        "attempts": retries.attempts,
        "timeout": retries.seconds,
        "wait_initial": retries.first_wait,
        "wait_max": retries.longest_wait,
        "wait_jitter": retries.jitter,
    }
