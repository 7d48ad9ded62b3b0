"""The dedup index: 128-bit hashes of every key ever accepted, sorted and memory-mapped.

It is a cache stamped with the state of the events table and rebuilt from it when it is stale or damaged; every hit is
confirmed on the real key, so a collision can cost time but never an event. New hashes go into runs of their own, which
are merged when there are many, so that taking a small file does not rewrite a large index.
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
    """Runs of sorted hashes in a folder, with a stamp that names the state of the table they stand for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stamp = folder / "stamp.json"
        self._expected: list[Hashes] = []

    def _read(self) -> tuple[str, dict[str, int]]:
        """The state, and name and size of every run; ("", {}) when the stamp is missing or damaged."""
        try:
            stamp = json.loads(self._stamp.read_text())
            return str(stamp["state"]), {str(name): int(size) for name, size in stamp["runs"].items()}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return "", {}

    @property
    def state(self) -> str:
        """The state of the events table that the index stands for; empty for none, or when a run is not whole."""
        state, runs = self._read()
        return state if all(self._is_whole(name, size) for name, size in runs.items()) else ""

    def _is_whole(self, name: str, size: int) -> bool:
        path = self._folder / name
        try:
            return path.stat().st_size == size and np.load(path, mmap_mode="r").ndim == 2
        except (OSError, ValueError):
            return False

    def ensure(self, state: str, rebuild: Callable[[], pl.Series]) -> None:
        """Bring the index to ``state``: as it is, or rebuilt from the hashes that ``rebuild`` reads from the table."""
        if self.state == state and state:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write({}, _sorted(halves(rebuild())) if state else None, state)

    def expect(self, hashes: pl.Series) -> None:
        """Take hashes of keys that are about to be accepted: ``hits`` knows them from now on."""
        if len(hashes):
            self._expected.append(_sorted(halves(hashes)))

    @property
    def expected(self) -> int:
        """How many runs of hashes are expected since the last ``add``."""
        return len(self._expected)

    def forget(self, length: int) -> None:
        """Take back what was expected, but for the first ``length`` runs."""
        del self._expected[length:]

    def add(self, state: str) -> None:
        """Record the hashes that were expected; the index then stands for ``state``."""
        expected, self._expected = self._expected, []
        merged = expected[0] if len(expected) == 1 else _sorted(np.hstack(expected)) if expected else None
        self._write(self._read()[1], merged, state)

    def _write(self, runs: dict[str, int], hashes: Hashes | None, state: str) -> None:
        """Add a run of sorted hashes, or none, and stamp the whole."""
        if hashes is not None and hashes.shape[1]:
            new = hashes
            name = f"run-{1 + max((int(run[4:-4]) for run in runs), default=0):010d}.npy"
            if len(runs) >= _MOST_RUNS:
                new = _sorted(np.hstack([new, *(np.load(self._folder / run, mmap_mode="r") for run in runs)]))
                runs = {}
            self._folder.mkdir(parents=True, exist_ok=True)
            np.save(self._folder / name, new)
            runs = runs | {name: (self._folder / name).stat().st_size}
        # The stamp is replaced last and at once: a kill before it leaves an index that is seen to be stale.
        draft = self._stamp.with_suffix(".part")
        draft.write_text(json.dumps({"state": state, "runs": runs}))
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
        stored = (np.load(self._folder / name, mmap_mode="r") for name in self._read()[1])
        for run in (*stored, *self._expected):
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
