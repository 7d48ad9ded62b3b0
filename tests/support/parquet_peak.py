"""A process that takes one large Parquet file and says how much memory it, and its reader, took for it.

``python -m tests.support.parquet_peak FOLDER`` takes what ``land`` put there and prints
``{"writer": bytes, "reader": bytes, "accepted": rows}``: the most that each held beyond what a small file takes.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.landing import Harbour, counts, founding
from valueverse.landing.parquet import _Worker, end_readers

SMALL, LARGE = "acme/a-small.parquet", "acme/large.parquet"


def land(folder: Path, rows: int, text: int) -> None:
    """A small and a large file of events with a text of so many characters, always the same: few bytes on disk."""
    harbour = Harbour(folder)
    harbour.land("acme/founding.ndjson", founding())
    data = json.dumps({"n": 1, "text": "x" * text})
    for name, count in ((SMALL, 10), (LARGE, rows)):
        number = pl.int_range(count, eager=True)
        frame = pl.DataFrame({"number": number}).select(
            pl.format("{}-{}", pl.lit(name), "number").alias("id"),
            pl.format("2024-05-{}T00:00:00Z", (10 + number % 15).cast(pl.String)).alias("time"),
        )
        same = {"specversion": "1.0", "source": "s", "type": "call", "subject": "c-1", "data": data}
        table = frame.to_arrow()
        for column, value in same.items():
            indices = pa.array(np.zeros(count, dtype=np.int32))
            table = table.append_column(column, pa.DictionaryArray.from_arrays(indices, pa.array([value])))
        # without Arrow's schema they are read as plain texts, each as long as it is
        pq.write_table(table, folder / "landing" / name, compression="zstd", store_schema=False)


def status(pid: int | str, name: str) -> int:
    """Bytes of a line of a process's status: VmRSS is what it holds now, VmHWM the most that it held."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def main() -> None:
    folder = Path(sys.argv[1])
    harbour = Harbour(folder)
    large = folder / "landing" / LARGE
    aside = large.rename(folder / "aside.parquet")
    harbour.take()
    aside.rename(large)
    reader = _Worker.idle[0]._process.pid
    own, other = status(os.getpid(), "VmRSS"), status(reader, "VmRSS")
    accepted = counts(harbour.take())[LARGE][1]
    peaks = {"writer": status(os.getpid(), "VmHWM") - own, "reader": status(reader, "VmHWM") - other}
    end_readers()
    print(json.dumps(peaks | {"accepted": accepted}))


if __name__ == "__main__":
    main()
