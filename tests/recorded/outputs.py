"""What ``simulate`` and the calculators answer, byte for byte, compared with what was recorded before.

``python -m tests.recorded.outputs`` compares and names each difference; ``--write`` records again, which only a change
that is meant to change an answer may do, with a line in CHANGELOG.md.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
from itertools import takewhile, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from typer.testing import CliRunner

from valueverse.cli import app
from valueverse.demo import harbor, northwind
from valueverse.demo.harbor_catalog import CATALOG as HARBOR

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
CASES = HERE.parent / "reference_cases"
CALCULATORS = ("price", "meter", "periods", "prorate", "invoice")
DATA = HERE.parents[1] / "data"
CUSTOMERS = 20
"""Of the generated tenant: every plan of its catalog has some."""
FINANCE = (
    {"fn": "npv", "rate": "0.1", "cashflows": ["-100", "60", "60"]},
    {"fn": "irr", "cashflows": ["-100", "60", "60"]},
    {"fn": "xnpv", "rate": "0.1", "dates": ["2024-01-01", "2025-01-01"], "amounts": ["-100", "120"]},
    {"fn": "xirr", "dates": ["2024-01-01", "2025-01-01"], "amounts": ["-100", "120"], "day_count": "30E/360"},
    {"fn": "mirr", "cashflows": ["-100", "60", "60"], "finance_rate": "0.1", "reinvest_rate": "0.05"},
    {"fn": "payback", "cashflows": ["-100", "60", "60"]},
    {"fn": "pmt", "rate": "0.01", "nper": "12", "pv": "1000", "fv": "0"},
    {"fn": "periodic_rate", "annual_effective": "0.1", "periods_per_year": "12"},
    {"fn": "outcome_fee", "realised_value": "1000", "share": "0.2", "floor": "50", "cap": "150"},
    {"fn": "irr", "cashflows": ["-100", "sixty"]},
    {"fn": "unknown"},
)


def answers() -> Iterator[tuple[str, str]]:
    """Name and output of each recorded command, exit code first."""
    with tempfile.TemporaryDirectory() as folder:
        for command in CALCULATORS:
            cases = _cases(command)
            lines = [json.dumps({"id": case["id"]} | case["input"]) for case in cases]
            yield command, _run(Path(folder), command, "--file", _file(folder, "lines.ndjson", "\n".join(lines)))
        lines = [json.dumps({"id": str(place)} | case) for place, case in enumerate(FINANCE)]
        yield "finance", _run(Path(folder), "finance", "--file", _file(folder, "lines.ndjson", "\n".join(lines)))
        yield "simulate-cases", "".join(_simulated_cases(folder))
        yield from _demo(Path(folder))


def _simulated_cases(folder: str) -> Iterator[str]:
    for case in _cases("simulate"):
        given = case["input"]
        catalog = _file(folder, "catalog.json", json.dumps(given["catalog"]))
        events = _file(folder, "events.ndjson", "\n".join(json.dumps(event) for event in given["events"]))
        period = ["--from", given["from"], "--to", given["to"]]
        yield _run(Path(folder), "simulate", "--catalog", catalog, "--events", events, *period)


def _demo(folder: Path) -> Iterator[tuple[str, str]]:
    """The demo's tenants under their own catalogs: once, in turn with corrections, and against a dearer catalog."""
    for late in (False, True):
        files = harbor.landing_files(CUSTOMERS) + (harbor.late_files(CUSTOMERS) if late else [])
        names = [_bytes(folder, file.name, file.content) for file in files]
        events = [option for name in names for option in ("--events", name)]
        catalog = _file(str(folder), "harbor.json", json.dumps(HARBOR))
        period = ["--from", "2024-01-01", "--to", "2024-07-01"]
        yield f"harbor{'-late' * late}", _run(folder, "simulate", "--catalog", catalog, *events, *period)
    runs = ["--run-at", "2024-03-02T00:00:00Z", "--run-at", "2024-05-02T00:00:00Z"]
    yield "harbor-runs", _run(folder, "simulate", "--catalog", catalog, *events, *runs)
    dearer = _file(str(folder), "dearer.json", json.dumps(HARBOR).replace('"0.0', '"0.1'))
    yield "harbor-compare", _run(folder, "simulate", "--catalog", catalog, *events, *period, "--compare", dearer)
    catalog = _file(str(folder), "northwind.json", json.dumps(northwind.CATALOG))
    files = northwind.landing_files(
        {name: pl.read_csv(DATA / f"{name}.csv", infer_schema=False) for name in northwind.TRACES}
    )
    events = [option for file in files for option in ("--events", _bytes(folder, file.name, file.content))]
    yield "northwind", _run(folder, "simulate", "--catalog", catalog, *events)


def _cases(command: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CASES / f"{command}.ndjson").read_text(encoding="utf-8").splitlines()]


def _file(folder: str, name: str, text: str) -> str:
    return _bytes(Path(folder), name, text.encode())


def _bytes(folder: Path, name: str, content: bytes) -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


def _run(folder: Path, *arguments: str) -> str:
    """Exit code and standard output of a command; an error's text may get better and is not compared."""
    result = CliRunner().invoke(app, list(arguments))
    return f"{result.exit_code}\n{result.stdout}".replace(str(folder), "FOLDER")


def differences() -> list[str]:
    """One line for each recorded output that is not the same now, with the first line that differs."""
    found = []
    names = set()
    for name, text in answers():
        names.add(name)
        path = HERE / f"{name}.gz"
        before = gzip.decompress(path.read_bytes()).decode() if path.exists() else ""
        if before != text:
            found.append(f"{name}: {_first_difference(before, text)}")
    return found + [f"{path.name}: no command writes it" for path in HERE.glob("*.gz") if path.stem not in names]


def _first_difference(before: str, now: str) -> str:
    lines = zip_longest(before.splitlines(), now.splitlines())
    place, old, new = next((place, old, new) for place, (old, new) in enumerate(lines, 1) if old != new)
    at = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old or "", new or "", strict=False)))
    return f"line {place}, column {at + 1}: {(old or '')[at : at + 80]!r} became {(new or '')[at : at + 80]!r}"


def main(arguments: list[str] | None = None) -> int:
    """Compare, or record again; 1 when an answer differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="record what the commands answer now")
    if parser.parse_args(arguments).write:
        for name, text in answers():
            (HERE / f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        return 0
    found = differences()
    sys.stdout.write("".join(f"{line}\n" for line in found) or "Every answer is the recorded one.\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
