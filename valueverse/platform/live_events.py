"""What is announced of events in Valkey: a stream for each tenant, and only while somebody follows it.

The API announces requests that it received, ingestion what it made of events. Whoever announces is never held up: an
entry is lost where Valkey does not answer, and nothing but the view with it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Self

import orjson
import pyarrow as pa
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from types import TracebackType

    from valueverse.platform.settings import Settings

STORED = 256
"""Entries that are stored of a tenant."""
STORED_SECONDS = 600
SHOWN = 200
"""Events of an entry; of others it has the number."""
Entry = dict[Any, Any]
"""Fields of an entry and their bytes, as the client of Valkey takes them."""
AWAY = (RedisError, OSError, TimeoutError)
"""Errors by which it is known that Valkey does not answer."""

_LOG = logging.getLogger(__name__)


def stream_of(tenant: str) -> str:
    """Key of the tenant's stream."""
    return f"valueverse:live-events:{tenant}"


def followed_key(tenant: str) -> str:
    """Key that is there while somebody follows the tenant's events, or has just done so."""
    return f"valueverse:live-events-followed:{tenant}"


def written(kind: str, events: list[dict[str, Any]], more: dict[str, Any] | None) -> Entry:
    """An entry of a stream.

    Args:
        kind: what it says of events: ``received`` or ``ingested``.
        events: the first of them, as JSON values.
        more: counts of those beside these; None: there are none.
    """
    return {"k": kind.encode(), "e": pa.compress(orjson.dumps([events, more]), codec="zstd", asbytes=True)}


def read(fields: Mapping[bytes, bytes]) -> tuple[str, list[dict[str, Any]], dict[str, Any] | None]:
    """Kind, events and more of an entry."""
    with pa.CompressedInputStream(pa.BufferReader(fields[b"e"]), "zstd") as stream:
        events, more = orjson.loads(stream.read())
    return fields[b"k"].decode(), events, more


class EventAnnouncer:
    """Announces what ingestion made of events. It never fails, and once Valkey has not answered it asks no more."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._valkey: Redis | None = None
        self._is_away = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._valkey is not None:
            self._valkey.close()

    def followed(self, tenants: Collection[str]) -> set[str]:
        """Those of the tenants whose events somebody follows."""
        listed = sorted(tenants)
        if self._is_away or not listed:
            return set()
        try:
            with self._connected().pipeline(transaction=False) as pipeline:
                for tenant in listed:
                    pipeline.exists(followed_key(tenant))
                return {tenant for tenant, there in zip(listed, pipeline.execute(), strict=True) if there}
        except (*AWAY, RefusalError) as error:
            self._gone(error)
            return set()

    def announce(self, entries: Mapping[str, Entry]) -> None:
        """Append an entry to the stream of each of these tenants."""
        if self._is_away or not entries:
            return
        try:
            with self._connected().pipeline(transaction=True) as pipeline:
                for tenant, entry in entries.items():
                    pipeline.xadd(stream_of(tenant), entry, maxlen=STORED, approximate=False)
                    pipeline.expire(stream_of(tenant), STORED_SECONDS)
                pipeline.execute()
        except (*AWAY, RefusalError) as error:
            self._gone(error)

    def _connected(self) -> Redis:
        if self._valkey is None:
            once = Retry(NoBackoff(), 0)
            address = self._settings.redis_url
            self._valkey = Redis.from_url(address, socket_timeout=1, socket_connect_timeout=1, retry=once)
        return self._valkey

    def _gone(self, error: Exception) -> None:
        self._is_away = True
        reason = str(error) or type(error).__name__
        _LOG.warning("nobody is announced of what this ingestion makes of events: %s", reason)
