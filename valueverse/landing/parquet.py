"""Parquet, read by a process of its own: what a hostile file does to a native reader, it does to that process alone."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

import polars as pl
import pyarrow as pa

from valueverse.events import ENVELOPE_ATTRIBUTES, read_rows
from valueverse.landing.streams import blocks, unreadable
from valueverse.landing.tables import as_utf8, check_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCRIPT = Path(__file__).with_name("parquet_worker.py")
_MOST_BYTES = 2**30
"""What the reading process may take beyond its start."""


def read_parquet(path: Path) -> Iterator[pl.DataFrame]:
    """PARSED_LINES frames of a Parquet file, also a compressed one."""
    if path.suffix == ".parquet":
        yield from _read(path)
        return
    # Parquet is read from its end: a compressed file is decompressed first.
    with tempfile.NamedTemporaryFile(suffix=".parquet") as plain:
        for block in blocks(path):
            plain.write(block)
        plain.flush()
        yield from _read(Path(plain.name))


def _read(path: Path) -> Iterator[pl.DataFrame]:
    for number, batch in _batches(path):
        frame = pl.DataFrame(pl.from_arrow(batch)).with_row_index("line", offset=number + 1)
        rows, broken = as_utf8(frame.with_columns(pl.col("line").cast(pl.Int64)))
        parsed = read_rows(rows)
        yield parsed if broken.is_empty() else pl.concat([parsed, broken]).sort("line")


def _batches(path: Path) -> Iterator[tuple[int, pa.RecordBatch]]:
    """(rows before, batch) of the columns that are known. A reader that is left half-way, or dies, is replaced."""
    worker = _Worker.ready()
    whole = False
    try:
        begun = worker.ask({"path": os.fspath(path.resolve()), "columns": [*ENVELOPE_ATTRIBUTES, "data"]})
        if "names" in begun:
            check_columns(begun["names"])
            number = 0
            for batch in worker.stream():
                yield number, batch
                number += batch.num_rows
            begun = worker.answer()
        whole = True
    except (OSError, ValueError, pa.ArrowException) as error:
        raise unreadable(f"its reader ended: {worker.last_output() or error}", damaged=True) from error
    finally:
        if whole:
            worker.rest()
        else:
            worker.end()
    if "error" in begun:
        raise unreadable(str(begun["error"]), damaged=True)


def end_readers() -> None:
    """End the reading processes that wait for a file."""
    while _Worker.idle:
        _Worker.idle.pop().end()


class _Worker:
    """A process that reads: started when the first Parquet file comes, and reused for the next ones."""

    idle: ClassVar[list[_Worker]] = []

    def __init__(self) -> None:
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(_SCRIPT), str(_MOST_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=os.environ | {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1"},
        )

    @classmethod
    def ready(cls) -> _Worker:
        """One that nobody uses: while one file is read another may have to be looked into."""
        while cls.idle:
            worker = cls.idle.pop()
            if worker._process.poll() is None:
                return worker
            worker.end()
        worker = cls()
        atexit.register(worker.end)
        return worker

    def rest(self) -> None:
        """Give the process back."""
        self.idle.append(self)

    @property
    def _out(self) -> IO[bytes]:
        if self._process.stdout is None:
            raise OSError(0, "the reader's output is not open")
        return self._process.stdout

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None:
            raise OSError(0, "the reader's input is not open")
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        return self.answer()

    def answer(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._out.readline())
        return found

    def stream(self) -> Iterator[pa.RecordBatch]:
        with pa.ipc.open_stream(self._out) as reader:
            yield from reader

    def last_output(self) -> str:
        """Why the process has ended, if it has."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return ""
        self._stderr.seek(0)
        text = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return f"exit {code} {text[-1] if text else ''}".strip()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            if stream is not None:
                stream.close()
        atexit.unregister(self.end)
