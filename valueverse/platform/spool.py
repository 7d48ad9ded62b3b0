"""Frames on their way into a table: in memory while they are few, else in files beside the lake's caches."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_IN_MEMORY = 128 * 2**20
"""Bytes of all frames together from which on further ones are written out."""


class Spool:
    """A list of frames of one schema that takes bounded memory."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._frames: list[pl.DataFrame | Path] = []
        self._held = 0

    def __len__(self) -> int:
        return len(self._frames)

    def add(self, frame: pl.DataFrame) -> None:
        """Append a frame; an empty one is left out."""
        if frame.is_empty():
            return
        size = int(frame.estimated_size())
        if self._held + size <= _IN_MEMORY:
            self._held += size
            self._frames.append(frame)
            return
        path = self._folder / f"{self._name}-{len(self._frames):06d}.arrow"
        frame.write_ipc(path, compression="uncompressed")
        self._frames.append(path)

    def __iter__(self) -> Iterator[pl.DataFrame]:
        for frame in self._frames:
            yield frame if isinstance(frame, pl.DataFrame) else pl.read_ipc(frame)

    def scans(self) -> Iterator[pl.LazyFrame]:
        """The frames to be queried: columns that are not asked for are not read."""
        for frame in self._frames:
            yield frame.lazy() if isinstance(frame, pl.DataFrame) else pl.scan_ipc(frame)

    def cut(self, length: int) -> None:
        """Keep the first ``length`` frames only."""
        for frame in self._frames[length:]:
            if isinstance(frame, pl.DataFrame):
                self._held -= int(frame.estimated_size())
            else:
                frame.unlink()
        del self._frames[length:]


@contextmanager
def spool_folder(home: Path) -> Iterator[Path]:
    """An empty folder for spools, removed afterwards; what a killed run has left there goes too."""
    place = home / "spool"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
