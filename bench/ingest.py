"""Rows ``ingest``, ``ingest parquet`` and ``ingest duplicates``: CloudEvents to the events table, against bare Polars.

Ours: read, validate, dedup against known keys, write the Delta table, its manifest and the index.
Peer: Polars scans the same file and writes it to Parquet, and does nothing else.
Peak: of a process that ingests the Parquet file and does nothing else, together with its reader's.
Duplicates: the same events shuffled into a new file, and the byte-identical file again, against taking them first.
"""

from __future__ import annotations

import gc
import json
import multiprocessing
import resource
import shutil
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from valueverse.landing.parquet import end_readers
from valueverse.platform.dedup_index import DedupIndex
from valueverse.platform.lake import Lake
from valueverse.services.ingestion.ingest import ingest
from valueverse.services.lake_tables import EVENTS_TABLE

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parent / "data"
SIZES = {"small": (200_000, 5_000_000), "full": (2_000_000, 50_000_000)}
"""Events taken, and keys known before."""
PAIRS = {"small": 5, "full": 3}
TENANT = "acme"
NOW = datetime(2026, 4, 1, tzinfo=UTC)
DAYS = 31


def run(size: str) -> list[dict[str, Any]]:
    """Rows of the performance table; generated files lie below bench/data and are deleted."""
    events, known = SIZES[size]
    DATA.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(dir=DATA))
    try:
        return _measure(home, events, known, PAIRS[size])
    finally:
        shutil.rmtree(home)


def _measure(home: Path, events: int, known: int, pairs: int) -> list[dict[str, Any]]:
    lines = _lines(events)
    source, shuffled = home / "events.ndjson", home / "shuffled.ndjson"
    source.write_text("\n".join(lines) + "\n")
    shuffled.write_text("\n".join(lines.sample(fraction=1, shuffle=True, seed=2)) + "\n")
    del lines
    columnar = home / "events.parquet"
    pl.scan_ndjson(source).with_columns(pl.col("data").struct.json_encode()).sink_parquet(columnar)
    base = _base(home / "base", known)
    times: dict[str, list[float]] = {"first": [], "peer": [], "shuffled": [], "identical": []}
    times |= {"parquet": [], "parquet peer": []}
    for number in range(pairs + 1):
        place = home / "run"
        _copied(base, place)
        round_times = {
            "first": _timed(lambda place=place: _take(place, source, "a")),
            "peer": _timed(lambda: pl.scan_ndjson(source).sink_parquet(home / "peer.parquet")),
            "shuffled": _timed(lambda place=place: _take(place, shuffled, "b")),
            "identical": _timed(lambda place=place: _take(place, source, "c")),
        }
        round_times |= _parquet_times(home, base, columnar)
        taken = Lake(place / "lake").scan(EVENTS_TABLE).select(pl.len()).collect().item()
        if taken != events + 1:
            raise AssertionError(f"{taken} events in the lake, {events + 1} were expected")
        shutil.rmtree(place)
        # The first round warms up.
        for name in times if number else ():
            times[name].append(round_times[name])
    peak = _peak(home, base, columnar)
    middle = {name: statistics.median(values) for name, values in times.items()}
    return [
        _row("ingest", events, middle["first"], middle["peer"], 3.0, f"dedup against {known:,} known keys"),
        _row("ingest parquet", events, middle["parquet"], middle["parquet peer"], 4.0, "data as JSON text")
        | {"peak_gib": round(peak / 2**30, 2)},
        _row("ingest duplicates", events, middle["shuffled"], middle["first"], 1.0, "shuffled into a new file"),
        _row("ingest duplicates", events, middle["identical"], middle["first"], 0.3, "the byte-identical file again"),
    ]


def _parquet_times(home: Path, base: Path, columnar: Path) -> dict[str, float]:
    place = home / "columnar"
    _copied(base, place)
    try:
        return {
            "parquet": _timed(lambda: _take(place, columnar, "a")),
            "parquet peer": _timed(lambda: pl.scan_parquet(columnar).sink_parquet(home / "peer.parquet")),
        }
    finally:
        shutil.rmtree(place)


def _peak(home: Path, base: Path, columnar: Path) -> int:
    """Bytes, of the ingesting process and its reader together."""
    place = home / "peak"
    _copied(base, place)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        found = pool.submit(_peak_here, place, columnar).result()
    shutil.rmtree(place)
    return found


def _peak_here(place: Path, columnar: Path) -> int:
    _take(place, columnar, "a")
    end_readers()
    return 1024 * sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _row(row: str, events: int, ours: float, peer: float, goal: float, note: str) -> dict[str, Any]:
    return {
        "row": row,
        "events": events,
        "ours_seconds": round(ours, 3),
        "peer_seconds": round(peer, 3),
        "ratio": round(ours / peer, 3),
        "goal": f"<= {goal}x",
        "note": note,
    }


def _lines(events: int) -> pl.Series:
    """Usage of one month as NDJSON lines: seeded, in order of time."""
    rng = np.random.default_rng(1)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    step = timedelta(days=DAYS) / events
    frame = pl.DataFrame(
        {
            "number": np.arange(events),
            "customer": rng.integers(0, 20_000, events),
            "tokens": rng.integers(1, 5_000, events),
            "model": rng.integers(0, 4, events),
        }
    )
    at = (pl.lit(start) + pl.col("number") * step).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
    line = pl.concat_str(
        pl.lit('{"specversion":"1.0","id":"evt-'),
        "number",
        pl.lit('","source":"gateway","type":"llm.request","subject":"customer-'),
        "customer",
        pl.lit('","time":"'),
        at,
        pl.lit('","data":{"generated_tokens":'),
        "tokens",
        pl.lit(',"model":"model-'),
        "model",
        pl.lit('","region":"eu"}}'),
    )
    return frame.select(line.alias("line")).to_series()


def _base(home: Path, known: int) -> Path:
    """A lake that knows its tenant, and an index that knows ``known`` keys."""
    founding = {
        "specversion": "1.0", "id": "founding", "source": "gateway", "type": "billing.tenant.created",
        "time": "2026-01-01T00:00:00Z", "data": {"tenant": TENANT, "name": TENANT},
    }  # fmt: skip
    first = home.parent / "founding.ndjson"
    first.write_text(json.dumps(founding) + "\n")
    _take(home, first, "0")
    rng = np.random.default_rng(3)
    halves = pl.DataFrame({name: rng.integers(0, 2**64, known, dtype=np.uint64) for name in ("high", "low")})
    hashes = halves.select(
        (pl.col("high").cast(pl.UInt128) * pl.lit(2**64, pl.UInt128) + pl.col("low").cast(pl.UInt128)).alias("hash")
    ).to_series()
    shutil.rmtree(home / "index" / "keys")
    DedupIndex(home / "index" / "keys").ensure(Lake(home / "lake").state(EVENTS_TABLE), lambda: hashes)
    return home


def _copied(base: Path, place: Path) -> None:
    """A copy whose large files are links: nothing here changes a file once written."""
    shutil.copytree(base, place, copy_function=_linked)


def _linked(source: str, target: str) -> None:
    Path(target).hardlink_to(source)


def _take(place: Path, source: Path, name: str) -> None:
    landed = place / "landing" / TENANT / f"{name}{source.suffix}"
    landed.parent.mkdir(parents=True, exist_ok=True)
    landed.hardlink_to(source)
    ingest(Lake(place / "lake"), place / "landing", place / "index", NOW)


def _timed(work: Callable[[], object]) -> float:
    gc.collect()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
