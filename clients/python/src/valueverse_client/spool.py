"""Events on disk that are not sent yet: they outlive the process, and the machine's power."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# WAL with FULL: a commit is over when its pages are synced to an append file, and a torn one is never read.
_BEGIN = """
pragma journal_mode = wal;
pragma synchronous = full;
pragma fullfsync = on;
create table if not exists event (sequence integer primary key autoincrement, line blob not null);
create table if not exists set_aside (
    sequence integer primary key autoincrement, line blob not null, reason text not null
);
"""
_LOCK_SECONDS = 30.0


class SpoolFullError(Exception):
    """The spool holds as much as it may: the event is not taken, and the caller decides what becomes of it."""


@dataclass(frozen=True)
class Batch:
    """Events that are sent together, the oldest of the spool.

    Attributes:
        last: sequence of its newest event.
        lines: the events as JSON.
    """

    last: int
    lines: tuple[bytes, ...]


class Spool:
    """A SQLite file of events, in the order in which they were added. Threads and processes may share one.

    Args:
        path: of the file; it is made where there is none.
        limit: bytes that it may take.
    """

    def __init__(self, path: Path, limit: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)  # the log beside it gets the same rights
        self._limit = limit
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, timeout=_LOCK_SECONDS, check_same_thread=False, isolation_level=None)
        self._connection.executescript(_BEGIN)

    def add(self, lines: Sequence[bytes]) -> None:
        """Store all of the events or none; they are on the disk when it returns.

        Raises:
            SpoolFullError: they would take more than the limit.
        """
        with self._lock, self._transaction() as connection:
            if self._bytes() + sum(map(len, lines)) > self._limit:
                raise SpoolFullError(f"the spool holds {self._limit} bytes of events that are not sent yet")
            connection.executemany("insert into event (line) values (?)", [(line,) for line in lines])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("begin immediate")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    def _bytes(self) -> int:
        pages, free, size = (
            self._connection.execute(f"pragma {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def oldest(self, events: int, size: int) -> Batch | None:
        """The next events to send: at most so many, of so many bytes together unless a single one is larger; None
        where there are none."""
        with self._lock:
            rows = self._connection.execute("select sequence, line from event order by sequence limit ?", [events])
            taken: list[tuple[int, bytes]] = []
            total = 0
            for sequence, line in rows:
                total += len(line)
                if taken and total > size:
                    break
                taken.append((sequence, line))
            rows.close()
        return Batch(taken[-1][0], tuple(line for _, line in taken)) if taken else None

    def remove(self, last: int) -> None:
        """Forget events up to this sequence: the API has stored them."""
        with self._lock:
            self._connection.execute("delete from event where sequence <= ?", [last])

    def set_aside(self, last: int, reason: str) -> None:
        """Move events up to this sequence to those that the API takes in no request, so that later ones are sent."""
        moved = "insert into set_aside (line, reason) select line, ? from event where sequence <= ?"
        with self._lock, self._transaction() as connection:
            connection.execute(moved, [reason, last])
            connection.execute("delete from event where sequence <= ?", [last])

    def newest(self) -> int:
        """Sequence of the newest event; 0 where there is none."""
        return self._number("select coalesce(max(sequence), 0) from event")

    def waiting(self) -> int:
        """How many events are not sent."""
        return self._number("select count(*) from event")

    def has(self, events: int) -> bool:
        """Whether so many events are not sent."""
        return self._number("select count(*) from (select 1 from event limit ?)", events) == events

    def has_up_to(self, last: int) -> bool:
        """Whether an event up to this sequence is not sent."""
        return self._number("select exists (select 1 from event where sequence <= ?)", last) == 1

    def _number(self, query: str, *values: int) -> int:
        with self._lock:
            return int(self._connection.execute(query, values).fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
