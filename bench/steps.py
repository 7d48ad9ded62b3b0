"""Rows ``bill``, ``usage`` and ``release``: whole steps, with Postgres and the lake, against the same at a tenth.

``bill`` of ten times the invoices; ``usage`` and ``release`` of a month with 24 months before it in the
lake against a month with none: a step costs what its own month holds.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.quality import release
from assets.resources import Platform
from bench.log import World, month_start, servers, world
from bench.rating import seconds
from pipelines.catch_up import QUIET
from valueverse.services.billing.book_journal import book_journal
from valueverse.services.billing.run_billing import bill
from valueverse.services.usage.derive_usage import meter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from valueverse.platform.settings import Settings

SIZES = {"tiny": (20, 200), "small": (200, 2_000), "full": (2_000, 20_000)}
"""Invoices of the smaller and of the larger run."""
LONG = 25
"""Months of the long lake: its last month is a January like that of the short one, in which no yearly period closes."""
USAGE = 3
"""Usage events of each subscription and month."""
ROUNDS = {"tiny": 1, "small": 3, "full": 1}


def bill_month(made: World, month: int) -> int:
    """Bill a month as of the tenth of the next one; invoices written."""
    as_of = datetime.combine(month_start(month + 1), time(tzinfo=UTC)) + timedelta(days=9)
    first = month_start(month)
    return bill(made.settings, made.lake, first, first, as_of=as_of, run_id="bench").invoices.height


def meter_month(made: World, month: int) -> int:
    """Derive a month's usage; rows written."""
    return int(meter(made.lake, made.days(month)).counts["rows"].sum())


def release_month(made: World, month: int) -> None:
    """Reconcile and judge a month, as its asset does."""
    with _environment(made.settings):
        done = dg.materialize(
            [release],
            partition_key=month_start(month).isoformat(),
            resources={"platform": Platform()},
            run_config=QUIET,
        )
    wrong = [check.check_name for check in done.get_asset_check_evaluations() if not check.passed]
    if wrong:
        raise SystemExit(f"release bench: {', '.join(wrong)} failed")


@contextmanager
def _environment(settings: Settings) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(settings.environment())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def journal_month(made: World, month: int) -> int:
    """Book what a month's invoices come to; entries added."""
    as_of = datetime.combine(month_start(month + 1), time(tzinfo=UTC)) + timedelta(days=9)
    return book_journal(made.settings, made.lake, as_of=as_of, run_id="bench").journal.entries.height


@contextmanager
def _metered(own: Settings, folder: Path, invoices: int) -> Iterator[World]:
    """A first month with so many monthly invoices to bill; a tenth more are billed by the year."""
    with world(own, folder, -(-invoices * 10 // 9), 1, USAGE) as made:
        meter_month(made, 0)
        yield made


def _billed(own: Settings, folder: Path, invoices: int) -> float:
    """Seconds of billing a first month of so many monthly invoices."""
    with _metered(own, folder, invoices) as made:
        counted: list[int] = []
        took = seconds(lambda: counted.append(bill_month(made, 0)))
        if not invoices <= counted[0] <= invoices + 10:
            raise SystemExit(f"bill bench: {counted[0]} invoices, {invoices} were expected")
        return took


def timed(sizes: Sequence[int]) -> Iterator[str]:
    """A sentence per number of invoices: seconds of each step."""
    with tempfile.TemporaryDirectory(prefix="valueverse-bench-") as name, servers(Path(name)) as own:
        for size in sizes:
            with _metered(own, Path(name) / f"timed-{size}", size) as made:
                steps = (
                    ("bill", bill_month),
                    ("bill again", bill_month),
                    ("journal", journal_month),
                    ("release", release_month),
                )
                took = [f"{named} {seconds(lambda step=step, made=made: step(made, 0)):.1f} s" for named, step in steps]
            yield f"{size} invoices: {', '.join(took)}"


def invoices(own: Settings, folder: Path, size: str) -> list[dict[str, Any]]:
    """Steps at ten times the invoices."""
    fewer, more = SIZES[size]
    rounds = range(ROUNDS[size] + 1)
    measured = {
        count: [_billed(own, folder / f"invoices-{count}-{turn}", count) for turn in rounds] for count in (fewer, more)
    }
    # The first round warms up.
    middle = {count: statistics.median(times[1:]) for count, times in measured.items()}
    note = f"whole step with its stores, {more} / {fewer} invoices"
    return [_row("bill", more * USAGE, middle[more], middle[fewer], "<= 12x", note)]


def months(own: Settings, folder: Path, size: str) -> list[dict[str, Any]]:
    """Steps of one month in a lake of 24 months and in a lake of one."""
    _, more = SIZES[size]
    with ExitStack() as opened:
        lakes = {
            length: opened.enter_context(world(own, folder / f"months-{length}", more, length, USAGE))
            for length in (LONG, 1)
        }
        for length, made in lakes.items():
            for month in range(length):
                meter_month(made, month)
                bill_month(made, month)
        rows = []
        for name, step in (("usage", meter_month), ("release", release_month)):
            times: dict[int, list[float]] = {length: [] for length in lakes}
            for turn in range(ROUNDS[size] + 1):
                for length, made in lakes.items():
                    took = seconds(lambda made=made, step=step, length=length: step(made, length - 1))
                    # The first round warms up.
                    times[length] += [took] if turn else []
            long, short = (statistics.median(times[length]) for length in (LONG, 1))
            note = f"whole step for one month, with {LONG - 1} months before it in the lake / with none"
            rows.append(_row(name, more * USAGE, long, short, "<= 1.3x", note))
        return rows


def _row(name: str, events: int, ours: float, peer: float, goal: str, note: str) -> dict[str, Any]:
    return {
        "row": name,
        "events": events,
        "ours_seconds": round(ours, 3),
        "peer_seconds": round(peer, 3),
        "ratio": round(ours / peer, 2),
        "goal": goal,
        "note": note,
    }


def run(size: str) -> Iterator[dict[str, Any]]:
    """The rows at a size of SIZES, as they are measured; servers and data lie below a temporary folder and are
    removed."""
    with tempfile.TemporaryDirectory(prefix="valueverse-bench-") as name:
        folder = Path(name)
        with servers(folder) as own:
            yield from invoices(own, folder, size)
            yield from months(own, folder, size)
