"""``make bench``: run the rows of the performance table and write bench/results.json.

Every row is a ratio against a peer or a limit measured in the same run on the same data; absolute seconds are printed
for orientation only. A row that misses its goal is shown, never hidden, and does not fail the run.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
from rich.console import Console
from rich.table import Table

from bench import http_ingest, ingest, peers, rating, serving, steps, upcoming, value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SUITES: dict[str, Callable[[str], Iterable[dict[str, Any]]]] = {
    "rating": rating.run,
    "ingest": ingest.run,
    "peers": peers.run,
    "value": value.run,
    "steps": steps.run,
    "upcoming": upcoming.run,
    "http ingest": http_ingest.run,
    "serve hot": serving.hot,
    "serve cold": serving.cold,
    "serve tail": serving.tail,
}
RESULTS = Path(__file__).parent / "results.json"


def main() -> None:
    """Measure, print the table, and keep the figures of this size beside those of other sizes."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--size", choices=["small", "full"], default="small", help="small: up to 2 M events; full: 20 M"
    )
    parser.add_argument("--suite", choices=sorted(SUITES), action="append", help="only these suites (default: all)")
    parser.add_argument(
        "--invoices", type=int, action="append", help="only time the whole steps at this number of invoices"
    )
    arguments = parser.parse_args()
    # Beside a terminal there is no width to fit.
    console = Console(width=None if sys.stdout.isatty() else 160)
    if arguments.invoices:
        for line in steps.timed(arguments.invoices):
            console.print(line)
        return
    names = arguments.suite or list(SUITES)
    rows: list[dict[str, Any]] = []
    failed = []
    for place, name in enumerate(names, 1):
        console.print(f"{place}/{len(names)} {name}, size {arguments.size} ...")
        began = time.monotonic()
        try:
            for row in SUITES[name](arguments.size):
                rows.append(row)
                # Written at once: a run that ends half-way has what it measured.
                _keep(arguments.size, rows)
                console.print(f"    {row['row']}: {row['ratio']}x (goal {row['goal']}); {row['note']}", markup=False)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - reported, and fails the run at its end; the others go on
            failed.append(name)
            console.print(f"    failed: {type(error).__name__}: {error}", markup=False)
        console.print(f"    took {time.monotonic() - began:.0f} s")
    if rows:
        console.print(_table(arguments.size, rows))
    if failed:
        raise SystemExit(f"not measured: {', '.join(failed)}")


def _keep(size: str, rows: list[dict[str, Any]]) -> None:
    """Write the rows of this run to RESULTS, in the place of those of the same names at this size."""
    machine = {
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        **{package: version(package) for package in ("polars", "duckdb", "deltalake", "pyarrow")},
    }
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    measured = {row["row"] for row in rows}
    others = [row for row in results.get(size, {"rows": []})["rows"] if row["row"] not in measured]
    results[size] = {"machine": machine, "rows": [*others, *rows]}
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


def _table(size: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=f"ValueVerse, size {size} ({psutil.cpu_count()} cores)")
    for heading in ("row", "events", "ours s", "peer s", "ratio", "goal", "peak GiB", "note"):
        table.add_column(heading, justify="left" if heading in {"row", "note"} else "right")
    for row in rows:
        shown = ("row", "events", "ours_seconds", "peer_seconds", "ratio", "goal", "peak_gib", "note")
        table.add_row(*(str(row.get(name, "")) for name in shown))
    return table


if __name__ == "__main__":
    main()
