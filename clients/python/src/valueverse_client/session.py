"""Sessions: an API key is exchanged for an access token, which is renewed before it ends."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import anyio
import httpx

from valueverse_client.problems import raise_for_problem

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator

_EARLY = 30.0
"""Seconds before its end at which an access token is renewed: clocks differ, and requests take time."""


class SessionAuth(httpx.Auth):
    """Signs requests with the access token of a session, which it opens, refreshes, and opens again when it has ended.

    One renewal at a time: a refresh token is good once, and one that is used twice ends its session.
    """

    requires_response_body = False

    def __init__(self, api_key: str, base_url: str) -> None:
        self._api_key = api_key
        self._sessions = httpx.URL(f"{base_url.rstrip('/')}/v1/sessions")
        self._refresh = httpx.URL(f"{base_url.rstrip('/')}/v1/sessions/refresh")
        self._access: str | None = None
        self._refresh_token: str | None = None
        self._ends = 0.0
        self._lock = threading.Lock()
        self._async_lock = anyio.Lock()

    @property
    def is_open(self) -> bool:
        """Whether there is a session to end."""
        return self._access is not None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """Send ``request`` with a token that is good; once more with a new one if it is refused."""
        refused: str | None = None
        for _ in range(2):
            with self._lock:
                renewal = self._renewal(refused)
                asked = next(renewal, None)
                while asked is not None:
                    answer = yield asked
                    answer.read()
                    asked = _next(renewal, answer)
                refused = self._sign(request)
            answer = yield request
            if answer.status_code != 401:
                return

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """As ``sync_auth_flow``."""
        refused: str | None = None
        for _ in range(2):
            async with self._async_lock:
                renewal = self._renewal(refused)
                asked = next(renewal, None)
                while asked is not None:
                    answer = yield asked
                    await answer.aread()
                    asked = _next(renewal, answer)
                refused = self._sign(request)
            answer = yield request
            if answer.status_code != 401:
                return

    def _sign(self, request: httpx.Request) -> str | None:
        request.headers["Authorization"] = f"Bearer {self._access}"
        return self._access

    def _renewal(self, refused: str | None) -> Generator[httpx.Request, httpx.Response]:
        """Requests that lead to a good access token: none while there is one."""
        if self._access is not None and self._access != refused and time.monotonic() < self._ends:
            return
        if self._refresh_token is not None:
            token, self._refresh_token = self._refresh_token, None
            answer = yield httpx.Request("POST", self._refresh, json={"refresh_token": token})
            if answer.status_code != 401:
                self._take(answer)
                return
        headers = {"Authorization": f"Bearer {self._api_key}"}
        self._take((yield httpx.Request("POST", self._sessions, headers=headers)))

    def _take(self, answer: httpx.Response) -> None:
        session = raise_for_problem(answer).json()
        self._access, self._refresh_token = session["access_token"], session["refresh_token"]
        self._ends = time.monotonic() + float(session["expires_in"]) - _EARLY


def _next(renewal: Generator[httpx.Request, httpx.Response], answer: httpx.Response) -> httpx.Request | None:
    try:
        return renewal.send(answer)
    except StopIteration:
        return None
