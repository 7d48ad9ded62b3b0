"""What the demonstration says at its end, in some twenty lines: what came of it, and what may be done next."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections import Counter, defaultdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from valueverse.services.demo.results import money
from valueverse.value.report import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.console import Console

    from valueverse.platform.settings import Settings
    from valueverse.services.demo.http_events import ProvenReceipt
    from valueverse.services.demo.results import Counted, DemoResults, Invoice
    from valueverse.services.demo.step_time import StepTime

_TITLE = 13
"""Columns of a title."""
_LISTED = 5
"""A tenant with more invoices has a line for all of them."""


def next_steps(settings: Settings, addresses: Mapping[str, str]) -> list[tuple[str, str]]:
    """What to open or to start, and the address or command for it.

    Args:
        settings: of the installation.
        addresses: of the servers that run.
    """
    from valueverse.platform.servers.supervisor import API, DAGSTER

    dagster, api = addresses.get(DAGSTER), addresses.get(API)
    shown = [("every run of this demo, in the Dagster UI", f"{dagster}/runs")] if dagster else []
    if api:
        shown.append((f"the API; its keys are in {settings.home / 'demo-keys.json'}", f"{api}/docs"))
    program = _program()
    stopped = "the daemon, which runs what is due by itself, does not run; start it"
    if not (dagster and api):
        stopped = "the Dagster UI, the API and the daemon do not all run; start them"
    return [
        *shown,
        (stopped, f"{program} up"),
        ("SQL on the lake; on the marts with --marts", f"{program} sql"),
        ("stop all servers", f"{program} down"),
    ]


def _program() -> str:
    """How to call this program: by its name where that is found, else by its place."""
    if shutil.which("valueverse"):
        return "valueverse"
    place = Path(sys.executable).with_name("valueverse")
    return str(place.relative_to(Path.cwd()) if place.is_relative_to(Path.cwd()) else place)


def print_summary(
    out: Console,
    results: DemoResults,
    receipt: ProvenReceipt,
    times: Sequence[StepTime],
    page: Path,
    following: Sequence[tuple[str, str]],
) -> None:
    """Print it; ``page`` has everything."""
    for title, lines in (
        ("Invoices", _invoices(results.invoices)),
        ("Quarantined", _reasons(results.quarantined, {one.tenant: one.received for one in results.ingested}, "lines")),
        ("Not billed", _reasons(results.unbilled, {one.tenant: one.accepted for one in results.ingested}, "events")),
        ("Reconciled", _reconciled(results)),
        ("Value", _value(results)),
        ("Receipt", _receipt(receipt)),
        ("Time", [_time(times)]),
    ):
        for place, line in enumerate(lines):
            _print_below(out, "" if place else title, printable(line))
    out.print(f"Everything: {page.absolute().as_uri()}", style="bold", soft_wrap=True, markup=False)
    out.print("Next:")
    for text, how in following:
        out.print(f"  {how}  # {text}", soft_wrap=True, markup=False)


def _print_below(out: Console, title: str, line: str) -> None:
    """A line beside its title; on a terminal what is too long goes on below itself, in a file it stays one line."""
    rows = textwrap.wrap(line, max(out.width - _TITLE, 20)) if out.is_terminal else [line]
    for place, row in enumerate(rows):
        out.print(Text(f"{'' if place else title:<{_TITLE}}", style="bold"), Text(row), sep="", soft_wrap=True)


def _invoices(invoices: Sequence[Invoice]) -> Iterator[str]:
    for tenant, found in groupby(invoices, key=lambda one: one.tenant):
        mine = list(found)
        if len(mine) <= _LISTED:
            for one in mine:
                total = money(one.total_minor, one.currency)
                yield f"{tenant}, {one.customer}: {total} for {one.period_from:%B %Y}, {one.status}"
            continue
        totals: Counter[tuple[str, str]] = Counter()
        for one in mine:
            totals[one.status, one.currency] += one.total_minor
        counts = Counter(one.status for one in mine)
        customers = len({one.customer for one in mine})
        parts = []
        for status, count in counts.most_common():
            amounts = [money(total, currency) for (found_of, currency), total in totals.items() if found_of == status]
            parts.append(f"{count:,} {status} ({', '.join(amounts)})")
        yield f"{tenant}, {customers:,} customers: {', '.join(parts)}"


def _reasons(counted: Iterable[Counted], of: Mapping[str, int], what: str) -> Iterator[str]:
    for tenant, found in groupby(counted, key=lambda one: one.tenant):
        mine = list(found)
        reasons = ", ".join(f"{one.events:,} {one.reason}" for one in mine)
        yield f"{tenant}, {sum(one.events for one in mine):,} of {of.get(tenant, 0):,} {what}: {reasons}"


def _reconciled(results: DemoResults) -> list[str]:
    compared = sum(one.compared for one in results.compared)
    agreeing = sum(one.agreeing for one in results.compared)
    agreed = f"{agreeing:,} of {compared:,} comparisons with an independent recomputation agree"
    return [f"{agreed}; {'tenants are' if results.held else 'no tenant is'} held", *results.held]


def _value(results: DemoResults) -> list[str]:
    return [
        f"{one.customer}, {one.month:%B %Y}: {one.realised:,.2f} {one.currency} of developer time saved "
        f"({one.committed:,.2f} committed), fee of {one.fee:,.2f} {one.currency} proposed"
        for one in results.realised
    ]


def _receipt(receipt: ProvenReceipt) -> list[str]:
    proven = f"signed, and proven to be entry {receipt.sequence:,} of the {receipt.size:,} in the signed audit log"
    return [f"{receipt.tenant}, {receipt.events:,} events over HTTP: {proven} ({receipt.path.name} beside the page)"]


def _time(times: Sequence[StepTime]) -> str:
    sums: defaultdict[str, float] = defaultdict(float)
    for one in times:
        sums[one.step] += one.seconds
    steps = ", ".join(f"{seconds:.0f} s {step}" for step, seconds in sums.items() if seconds >= 0.5)
    return f"{sum(sums.values()):.0f} s: {steps}"
