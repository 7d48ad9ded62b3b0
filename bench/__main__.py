"""``make bench``: run the rows of the performance table and write bench/results.json.

Every row is a ratio against a peer or a limit measured in the same run on the same data; absolute seconds are printed
for orientation only. A row that misses its goal is shown, never hidden, and does not fail the run.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table

from bench import ingest, peers, rating, steps, value

SUITES = {"rating": rating.run, "ingest": ingest.run, "peers": peers.run, "value": value.run, "steps": steps.run}
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
    rows: list[dict[str, object]] = []
    for name in arguments.suite or list(SUITES):
        with console.status(f"measuring {name} at size {arguments.size} ..."):
            rows += SUITES[name](arguments.size)
    machine = {
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        **{package: version(package) for package in ("polars", "duckdb", "deltalake", "pyarrow")},
    }
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    measured = {row["row"] for row in rows}
    before = kept.get(arguments.size, {"rows": []})["rows"]
    others = [row for row in before if row["row"] not in measured]
    kept[arguments.size] = {"machine": machine, "rows": [*rows, *others]}
    RESULTS.write_text(json.dumps(kept, indent=2) + "\n")
    table = Table(title=f"ValueVerse, size {arguments.size} ({machine['cores']} cores)")
    for heading in ("row", "events", "ours s", "peer s", "ratio", "goal", "peak GiB", "note"):
        table.add_column(heading, justify="left" if heading in {"row", "note"} else "right")
    for row in rows:
        table.add_row(
            *(
                str(row.get(key, ""))
                for key in ("row", "events", "ours_seconds", "peer_seconds", "ratio", "goal", "peak_gib", "note")
            )
        )
    console.print(table)


if __name__ == "__main__":
    main()
