"""Rows ``rate``, ``rate mixed`` and ``growth``: the typed usage table to invoices, against one DuckDB scan.

Ours: read the usage table, meter every subscription's closing period, choose charges, price them, round the lines,
total the invoices. Peer: DuckDB scans the same files and groups them to the same grain (tenant, customer, meter; in the
mixed row also the dimension that matrix prices look at), and no more.
"""

from __future__ import annotations

import gc
import resource
import statistics
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl

from bench.workload import AFTER, FIRST, SUBSCRIPTIONS, YEAR, Workload, dearer, workload
from valueverse.invoicing.engine import Billed, bill

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 2**20
SIZES = {"tiny": (20_000, 2_000, 1), "small": (2_000_000, 200_000, 5), "full": (20_000_000, 2_000_000, 3)}
"""Events of the rate rows, events that ``growth`` starts from, and pairs measured."""


def _ours(work: Workload) -> Billed:
    usage = pl.scan_parquet(work.files / "*.parquet")
    return bill(work.timeline, work.history, usage, (FIRST, AFTER), known_at=None)


def _peer(work: Workload) -> int:
    query = (
        f"select {work.grain}, sum(value) as quantity, count(*) as events "
        f"from read_parquet('{work.files}/*.parquet') group by all"
    )
    return duckdb.sql(query).arrow().read_all().num_rows


def _peak(run: Callable[[Any], object], given: object) -> float:
    run(given)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB


def peak_gib(run: Callable[[Any], object], given: object) -> float:
    """Peak memory of one run, in a process of its own that has held nothing else."""
    with ProcessPoolExecutor(1, get_context("spawn")) as processes:
        return processes.submit(_peak, run, given).result()


def seconds(run: Callable[[], object]) -> float:
    """Elapsed time of one run, the garbage of the one before it collected."""
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
        "peak_gib": round(peak_gib(_ours, work), 2),
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


def _tenants(folder: Path, events: int, rounds: int) -> dict[str, Any]:
    """The same events and subscriptions under few and under many tenants."""
    few, many = (workload(folder / str(count), events, mixed=False, tenants=count) for count in (10, 10_000))
    more, less = pairs(lambda: _ours(many), lambda: _ours(few), rounds)
    return {
        "row": "tenants",
        "events": events,
        "ours_seconds": round(more, 3),
        "peer_seconds": round(less, 3),
        "ratio": round(more / less, 2),
        "goal": "<= 1.5x",
        "note": "10,000 tenants / 10 tenants, the same events",
    }


def _simulate(folder: Path, events: int, rounds: int) -> dict[str, Any]:
    """Twelve months under a second catalog, and the money difference per customer, against rating them once."""
    year = workload(folder, events, mixed=False, days=365, first=YEAR)
    other = dearer(year)

    def billed(work: Workload) -> pl.DataFrame:
        usage = pl.scan_parquet(work.files / "*.parquet")
        found = bill(work.timeline, work.history, usage, (YEAR, date(YEAR.year + 1, YEAR.month, 1)), known_at=None)
        return found.invoices.group_by("tenant", "customer", "currency").agg(pl.col("total_minor").sum())

    base = billed(year)

    def simulated() -> None:
        base.join(billed(other), on=["tenant", "customer", "currency"], how="full", suffix="_other")

    ours, once = pairs(simulated, lambda: billed(year), rounds)
    return {
        "row": "simulate",
        "events": events,
        "ours_seconds": round(ours, 3),
        "peer_seconds": round(once, 3),
        "ratio": round(ours / once, 2),
        "goal": "<= 1.3x",
        "note": f"12 months x {SUBSCRIPTIONS} subscriptions under a second catalog / rating once",
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
        rows.append(_growth(folder / "growth", base))
        rows.append(_tenants(folder / "tenants", events, rounds))
        return [*rows, _simulate(folder / "year", events, rounds)]
