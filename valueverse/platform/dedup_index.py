"""The dedup index: 128-bit hashes of every key ever accepted, sorted and memory-mapped.

It is a cache stamped with the version of the events table and rebuilt from it when it is stale or damaged; every hit is
confirmed on the real key, so a collision can cost time but never an event. New hashes go into runs of their own, which are
merged when there are many, so that taking a small file does not rewrite a large index.
"""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt
    import polars as pl

    Hashes = npt.NDArray[np.uint64]

_MOST_RUNS = 8
_HALF = 2**64


def halves(hashes: pl.Series) -> Hashes:
    """UInt128 hashes as two rows: the high halves and the low ones."""
    import polars as pl

    frame = hashes.to_frame("hash").select(
        (pl.col("hash") // _HALF).cast(pl.UInt64).alias("high"), (pl.col("hash") % _HALF).cast(pl.UInt64).alias("low")
    )
    return np.vstack([frame["high"].to_numpy(), frame["low"].to_numpy()])


def _sorted(hashes: Hashes) -> Hashes:
    return np.ascontiguousarray(hashes[:, np.lexsort((hashes[1], hashes[0]))])


class DedupIndex:
    """Runs of sorted hashes in a folder, with a stamp that names the table version they stand for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp = folder / "stamp.json"

    def _runs(self) -> list[Path]:
        return [self._folder / name for name in self._read()["runs"]]

    def _read(self) -> dict[str, list[str] | int]:
        try:
            return dict(json.loads(self._stamp.read_text()))
        except (OSError, ValueError):
            return {"version": -1, "runs": []}

    @property
    def version(self) -> int:
        """The version of the events table that the index stands for; -1 for none."""
        stamp = self._read()
        whole = all((self._folder / str(name)).exists() for name in stamp["runs"])  # type: ignore[union-attr]
        return int(stamp["version"]) if whole else -1  # type: ignore[arg-type]

    def ensure(self, version: int, rebuild: Callable[[], pl.Series]) -> None:
        """Bring the index to ``version``: as it is, or rebuilt from the hashes that ``rebuild`` reads from the table."""
        if self.version == version and self._folder.exists():
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write([], rebuild() if version >= 0 else None, version)

    def add(self, hashes: pl.Series, version: int) -> None:
        """Record the hashes of newly accepted keys; the index then stands for ``version``."""
        self._write([path.name for path in self._runs()], hashes, version)

    def _write(self, runs: list[str], hashes: pl.Series | None, version: int) -> None:
        if hashes is not None and len(hashes):
            new = _sorted(halves(hashes))
            if len(runs) >= _MOST_RUNS:
                new = _sorted(np.hstack([new, *(np.load(self._folder / name, mmap_mode="r") for name in runs)]))
                runs = []
            self._folder.mkdir(parents=True, exist_ok=True)
            name = f"run-{version:010d}.npy"
            np.save(self._folder / name, new)
            runs = [*runs, name]
        # The stamp is replaced last and at once: a kill before it leaves an index that is seen to be stale.
        draft = self._stamp.with_suffix(".part")
        draft.write_text(json.dumps({"version": version, "runs": runs}))
        draft.replace(self._stamp)
        for path in self._folder.glob("run-*.npy"):
            if path.name not in runs:
                path.unlink()

    def hits(self, hashes: pl.Series) -> npt.NDArray[np.bool_]:
        """Which hashes are in the index."""
        asked = halves(hashes)
        found = np.zeros(asked.shape[1], dtype=bool)
        # In sorted order the look-ups walk through the memory map once instead of jumping about in it.
        order = np.argsort(asked[0], kind="stable")
        high, low = asked[0, order], asked[1, order]
        for path in self._runs():
            run = np.load(path, mmap_mode="r")
            size = run.shape[1]
            at = np.searchsorted(run[0], high)
            inside = at < size
            at = np.minimum(at, size - 1)
            same_high = inside & (run[0, at] == high)
            exact = same_high & (run[1, at] == low)
            # Two keys with one high half are next to each other; only those are walked.
            for place in np.flatnonzero(same_high & ~exact):
                step = at[place] + 1
                while step < size and run[0, step] == high[place]:
                    exact[place] |= bool(run[1, step] == low[place])
                    step += 1
            found[order] |= exact
        return found
