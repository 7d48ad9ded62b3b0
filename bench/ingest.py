"""Rows ``ingest`` and ``ingest duplicates``: NDJSON CloudEvents to the events table, against a bare Polars conversion.

Ours: read, validate, hash, look every key up in an index of known keys, write the Delta table and the index.
Peer: Polars scans the same file and writes it to Parquet, with no validation and no memory of anything.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from assets.steps.ingest import IngestionReport, ingest
from bench.rating import seconds
from valueverse.platform.dedup_index import DedupIndex
from valueverse.platform.lake import Lake

SIZES = {"tiny": (5_000, 20_000, 1), "small": (500_000, 5_000_000, 3), "full": (2_000_000, 50_000_000, 3)}
"""Events in the file, keys known before, and rounds measured."""
TENANT = "bench"
NOW = datetime(2026, 4, 1, tzinfo=UTC)


def _lines(events: int) -> pl.DataFrame:
    """CloudEvents of one month as NDJSON lines, seeded."""
    rng = np.random.default_rng(7)
    drawn = pl.DataFrame(
        {
            "customer": rng.integers(0, 2_000, events),
            "micros": np.sort(rng.integers(0, 30 * 86_400_000_000, events)) + 1_772_323_200_000_000,
            "context": rng.integers(1, 9_000, events),
            "generated": rng.integers(1, 900, events),
        }
    )
    return drawn.select(
        pl.format(
            '{"specversion":"1.0","id":"e-{}","source":"bench","type":"llm.request","subject":"customer-{}","time":"{}",'
            '"data":{"context_tokens":{},"generated_tokens":{},"model":"large"}}'.replace('{"', "\x01").replace("}}", "\x02"),
            pl.int_range(pl.len()),
            "customer",
            pl.col("micros").cast(pl.Datetime("us", "UTC")).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
            "context",
            "generated",
        )
        .str.replace_all("\x01", '{"', literal=True)
        .str.replace_all("\x02", "}}", literal=True)
        .alias("line")
    )


def _write(lines: pl.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines.write_csv(path, include_header=False, quote_style="never")


class _World:
    """A lake with one tenant, and an index that knows keys which the lake does not hold: misses cost what they cost."""

    def __init__(self, folder: Path, known: int) -> None:
        self.folder = folder
        self.lake = Lake(folder / "lake")
        self.landing = folder / "landing"
        founding = {
            "specversion": "1.0",
            "id": "founding",
            "source": "bench",
            "type": "billing.tenant.created",
            "time": "2026-01-01T00:00:00Z",
            "data": {"tenant": TENANT, "currency": "USD"},
        }
        self.put("0-founding.ndjson").write_text(json.dumps(founding))
        self.take()
        index = DedupIndex(folder / "index" / "keys")
        halves = np.random.default_rng(11).integers(0, 2**63, (2, known), dtype=np.uint64)
        hashes = pl.DataFrame({"high": halves[0], "low": halves[1]}).select(
            pl.col("high").cast(pl.UInt128) * 2**64 + pl.col("low").cast(pl.UInt128)
        )
        index.add(hashes.to_series(), index.state)

    def put(self, name: str) -> Path:
        path = self.landing / TENANT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def take(self) -> IngestionReport:
        return ingest(self.lake, self.landing, self.folder / "index", NOW)


def _expect(report: IngestionReport, name: str, events: int) -> None:
    counted = int(report.files.filter(pl.col("file").str.ends_with(".ndjson"))[name].sum())
    if counted < events:
        raise SystemExit(f"ingest bench: {counted} of {events} events {name}")


def _round(folder: Path, lines: pl.DataFrame, known: int) -> dict[str, float]:
    """Seconds of the peer, of a first ingestion, of the same events shuffled, and of the identical file again."""
    world = _World(folder / "world", known)
    source, shuffled = folder / "source.ndjson", folder / "shuffled.ndjson"
    _write(lines, source)
    _write(lines.sample(fraction=1, shuffle=True, seed=3), shuffled)
    measured = {"peer": seconds(lambda: pl.scan_ndjson(source).sink_parquet(folder / "peer.parquet"))}
    reports: dict[str, IngestionReport] = {}
    for name, path in (("first", source), ("shuffled", shuffled), ("again", source)):
        shutil.copyfile(path, world.put(f"{name}.ndjson"))

        def take(name: str = name) -> None:
            reports[name] = world.take()

        measured[name] = seconds(take)
    _expect(reports["first"], "accepted", lines.height)
    _expect(reports["shuffled"], "duplicate", lines.height)
    _expect(reports["again"], "duplicate", lines.height)
    shutil.rmtree(folder)
    return measured


def run(size: str) -> list[dict[str, Any]]:
    """Measure the rows at a size of SIZES; data is made below a temporary folder and removed."""
    events, known, rounds = SIZES[size]
    lines = _lines(events)
    with tempfile.TemporaryDirectory(prefix="valueverse-bench-") as name:
        found = [_round(Path(name) / str(place), lines, known) for place in range(rounds)]
    median = {key: statistics.median(one[key] for one in found) for key in found[0]}

    def row(label: str, ours: str, against: str, goal: str, note: str) -> dict[str, Any]:
        return {
            "row": label,
            "events": events,
            "ours_seconds": round(median[ours], 3),
            "peer_seconds": round(median[against], 3),
            "ratio": round(median[ours] / median[against], 2),
            "goal": goal,
            "note": note,
        }

    return [
        row("ingest", "first", "peer", "<= 3x", f"{known} keys known / bare scan_ndjson -> Parquet"),
        row("ingest duplicates", "shuffled", "first", "<= 1.0x", "the same events shuffled in a new file / first time"),
        row("ingest duplicates", "again", "first", "<= 0.3x", "the byte-identical file again / first time"),
    ]
