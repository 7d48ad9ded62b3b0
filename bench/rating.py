"""Rows ``rate``, ``rate mixed`` and ``growth``: the typed usage table to invoices, against one DuckDB scan.

Ours: read the usage table, meter every subscription's closing period, choose charges, price them, round the lines,
total the
invoices. Peer: DuckDB scans the same files and groups them to the same grain (tenant, customer, meter), and no more.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from bench.workload import AFTER, FIRST, SUBSCRIPTIONS, Workload, workload
from valueverse.invoicing.engine import Billed, bill

if TYPE_CHECKING:
    from collections.abc import Callable

SIZES = {"tiny": (20_000, 2_000, 1), "small": (2_000_000, 200_000, 5), "full": (20_000_000, 2_000_000, 3)}
"""Events of the rate rows, events that ``growth`` starts from, and pairs measured."""


def _ours(work: Workload) -> Billed:
    usage = pl.scan_parquet(work.files / "*.parquet")
    return bill(work.timeline, work.history, usage, (FIRST, AFTER), known_at=None)


def _peer(work: Workload) -> int:
    query = (
        "select tenant, customer, meter, sum(value) as quantity, count(*) as events "
        f"from read_parquet('{work.files}/*.parquet') group by all"
    )
    return duckdb.sql(query).arrow().read_all().num_rows


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one run, the garbage of the one before it collected."""
    gc.collect()
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def pairs(ours: Callable[[], object], peer: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Medians of interleaved runs, after one warm-up of each."""
    seconds(peer), seconds(ours)
    measured = [(seconds(peer), seconds(ours)) for _ in range(rounds)]
    return statistics.median(mine for _, mine in measured), statistics.median(other for other, _ in measured)


def _checked(work: Workload) -> None:
    """What is timed is right: every event is on a line, and the total is that of the peer's quantities."""
    billed = _ours(work)
    if billed.invoices.height != SUBSCRIPTIONS or billed.problems.height:
        raise SystemExit(f"rating bench: {billed.invoices.height} invoices, {billed.problems.height} problems")
    counted = billed.lines["event_count"].sum()
    if counted != work.events:
        raise SystemExit(f"rating bench: {counted} of {work.events} events are on a line")


def _row(name: str, work: Workload, rounds: int, goal: str) -> dict[str, Any]:
    _checked(work)
    ours, peer = pairs(lambda: _ours(work), lambda: _peer(work), rounds)
    return {
        "row": name,
        "events": work.events,
        "ours_seconds": round(ours, 3),
        "peer_seconds": round(peer, 3),
        "ratio": round(ours / peer, 2),
        "goal": goal,
        "note": f"{SUBSCRIPTIONS} subscriptions, usage to invoices / DuckDB scan + GROUP BY",
    }


def _growth(folder: Path, events: int) -> dict[str, Any]:
    less, more = (workload(folder / str(size), size, mixed=False) for size in (events, events * 10))
    once = statistics.median(seconds(lambda: _ours(less)) for _ in range(3))
    tenfold = statistics.median(seconds(lambda: _ours(more)) for _ in range(3))
    return {
        "row": "growth",
        "events": events * 10,
        "ours_seconds": round(tenfold, 3),
        "peer_seconds": round(once, 3),
        "ratio": round(tenfold / once, 2),
        "goal": "<= 11x",
        "note": f"{events * 10} events / {events} events",
    }


def run(size: str) -> list[dict[str, Any]]:
    """Measure the three rows at a size of SIZES; data is made below a temporary folder and removed."""
    events, base, rounds = SIZES[size]
    with tempfile.TemporaryDirectory(prefix="valueverse-bench-") as name:
        folder = Path(name)
        plain = workload(folder / "plain", events, mixed=False)
        rows = [_row("rate", plain, rounds, "<= 3x")]
        mixed = workload(folder / "mixed", events, mixed=True)
        rows.append(_row("rate mixed", mixed, rounds, "<= 5x"))
        return [*rows, _growth(folder / "growth", base)]
