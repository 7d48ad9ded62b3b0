"""Events that came by the API, as files that ingestion takes like those of the landing folder.

All requests of a tenant that wait become one file with a name that no landing file can have. Every ingestion writes it
from the same rows: same name, same bytes. So the commit that takes it is recorded as that of any file, and what a
killed ingestion left is either taken by the next one or known to be taken. Rows and file go after the commit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

from valueverse.errors import RefusalError
from valueverse.landing import Ignored, LandingFile, one_file
from valueverse.platform.stores import inbox_store
from valueverse.platform.warehouse import connect

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime
    from pathlib import Path

    import psycopg

    from valueverse.platform.lake import Opened
    from valueverse.platform.settings import Settings

_DRAIN_BYTES = 256 * 2**20
"""Expanded bytes of the requests that become one file."""
_BLOCK = 2**20


class Inbox:
    """The inbox of all tenants.

    Args:
        connection: of the builder, in autocommit.
        folder: where its files are written.
    """

    def __init__(self, connection: psycopg.Connection[Any], folder: Path) -> None:
        self._connection, self._folder = connection, folder
        self._drains: dict[str, tuple[str, int, Path]] = {}

    def files(self) -> tuple[list[LandingFile], list[Ignored]]:
        """Everything that waits, as files by tenant and age; and what cannot be read any more, which is left alone."""
        files, damaged = [], []
        for tenant, drain in inbox_store.claim(self._connection, _DRAIN_BYTES):
            name, path = f"{tenant}/inbox/{drain}.ndjson", self._folder / tenant / f"{drain}.ndjson"
            try:
                receipts = self._write(tenant, drain, path)
            except _DamagedError as error:
                damaged.append(Ignored(name, f"a request of the inbox is damaged: {error}"))
                continue
            found = one_file(path, tenant, name)
            files.append(LandingFile(tenant, name, path, found.file_hash, found.size, found.stamp, receipts=receipts))
            self._drains[name] = (tenant, drain, path)
        return files, damaged

    def _write(self, tenant: str, drain: int, path: Path) -> tuple[tuple[int, datetime], ...]:
        """The file of a drain; from which line on its events were received when."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(".part")
        receipts, line = [], 1
        with draft.open("wb") as target:
            for received_at, events, body in inbox_store.batches(self._connection, tenant, drain):
                for block in _expanded(body):
                    target.write(block)
                receipts.append((line, received_at))
                line += events
        draft.replace(path)
        return tuple(receipts)

    def drained(self, taken: Collection[str], events: Opened) -> None:
        """Forget those of the files whose names are among the taken, and requests in a topic up to where the lake's
        events have it."""
        inbox_store.delete_sent(self._connection, events.position)
        for name, (tenant, drain, path) in self._drains.items():
            if name in taken:
                path.unlink(missing_ok=True)
                inbox_store.delete_drain(self._connection, tenant, drain)


class _DamagedError(Exception):
    """A body that is not what the API stored."""


def _expanded(body: bytes) -> Iterator[bytes]:
    try:
        stream = pa.CompressedInputStream(pa.BufferReader(body), "zstd")
        while block := stream.read(_BLOCK):
            yield bytes(block)
    except OSError as error:
        raise _DamagedError(str(error)) from error


def newest_request(settings: Settings) -> int | None:
    """Number of the newest request that waits; None: there is none, or the warehouse does not answer."""
    try:
        with connect(settings, "builder") as connection:
            return inbox_store.newest(connection)
    except RefusalError:
        return None
