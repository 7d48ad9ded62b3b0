"""``valueverse demo``: two tenants from raw events to invoices, marts and an API, run by Dagster."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from valueverse.commands.progress import Timing, print_step
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from valueverse.demo.files import DemoFile
    from valueverse.platform.settings import Settings

T = TypeVar("T")

_DEMO = """Run the main job on real data: events in, invoices, marts and an API out, all through Dagster.

Starts the embedded servers, lands the events of two tenants in two deliveries, and asks for exactly the
partitions they touch. Run it again: no event is counted twice, every number and hash stays. Piped: one
invoice per line.

[dim]valueverse demo --no-serve[/dim]"""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("demo", help=_DEMO)(_demo)


def _demo(
    customers: Annotated[int, typer.Option(min=10, max=2000, help="Customers of the generated tenant.")] = 120,
    serve: Annotated[bool, typer.Option(help="Leave the Dagster UI and the API running at the end.")] = True,
) -> None:
    from rich.console import Console

    from valueverse.commands.servers.demo_report import invoice_documents, report
    from valueverse.platform.settings import get_settings

    settings = get_settings()
    # A log file has no width of its own: wide enough for the tables.
    progress = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 150)
    piped = not sys.stdout.isatty()
    began = time.perf_counter()
    timings = list(run_demo(settings, customers, progress))
    keys, timing = _timed("keys", "an API key for each tenant", lambda: demo_keys(settings))
    timings.append(timing)
    addresses: dict[str, str] = {}
    if serve:
        with progress.status("starting the Dagster UI and the API"):
            addresses, timing = _timed("serve", "Dagster UI and API", lambda: _serve(settings, progress))
        timings.append(timing)
    timings.append(Timing("total", "", time.perf_counter() - began))
    report(settings, progress if piped else Console(highlight=False), timings, keys, addresses)
    if piped:
        for document in invoice_documents(settings):
            sys.stdout.write(document + "\n")


def run_demo(settings: Settings, customers: int, progress: Any) -> Iterator[Timing]:
    """Every step up to the marts and the report, each printed once it is done.

    Which stages run, and in which order, is the table's (``pipelines.stages``). After which of them the demo pauses is
    its own script and no attribute of a stage, as an installation never pauses there: late events and corrections are
    delivered once usage of their dates is derived, so that it is derived again; the value model is agreed once its
    month is billed and before it is measured; the report is written from the marts. A stage more runs in its place in
    the table without a change here.
    """
    from valueverse.commands.servers.demo_value import agree, write_report
    from valueverse.demo import harbor

    with progress.status("starting PostgreSQL and Valkey"):
        _, timing = _timed("servers", "PostgreSQL, Valkey, migrations", lambda: _start(settings))
    yield _progress_line(progress, timing)
    with progress.status("writing the first delivery"):
        _, timing = _timed(
            "delivery 1",
            "events of both tenants into the landing folder",
            lambda: deliver(settings.landing, _first_delivery(customers)),
        )
    yield _progress_line(progress, timing)
    yield from _catch_up(settings, "usage", progress)
    with progress.status("writing the second delivery"):
        _, timing = _timed(
            "delivery 2",
            "late events and corrections",
            lambda: deliver(settings.landing, harbor.late_files(customers)),
        )
    yield _progress_line(progress, timing)
    yield from _catch_up(settings, "billing", progress)
    _, timing = _timed("agree", "a value model, committed and approved by both sides", lambda: agree(settings))
    yield _progress_line(progress, timing)
    yield from _catch_up(settings, "marts", progress)
    _, timing = _timed("report", "the realised value, as a page for the customer", lambda: write_report(settings))
    yield _progress_line(progress, timing)


def _progress_line(progress: Any, timing: Timing) -> Timing:
    print_step(progress, timing)
    return timing


def _timed(step: str, what: str, work: Callable[[], T]) -> tuple[T, Timing]:
    began = time.perf_counter()
    result = work()
    return result, Timing(step, what, time.perf_counter() - began)


def _start(settings: Settings) -> None:
    from valueverse.platform.servers import supervisor

    for _ in supervisor.up(settings, ("postgres", "valkey")):
        pass


def _first_delivery(customers: int) -> list[DemoFile]:
    import polars as pl

    from valueverse.demo import harbor, northwind
    from valueverse.platform.servers.supervisor import project

    folder = project() / "data"
    traces = {}
    for name in northwind.TRACES:
        path = folder / f"{name}.csv"
        if not path.is_file():
            raise RefusalError("missing_trace", f"{path} is missing: the demo needs the whole checkout", str(path))
        traces[name] = pl.read_csv(path, infer_schema=False)
    return northwind.landing_files(traces) + harbor.landing_files(customers)


def deliver(landing: Path, files: Iterable[DemoFile]) -> None:
    """Put files into the landing folder, each whole at once; one that lies there unchanged is left alone.

    Raises:
        RefusalError: ``cannot_write``: the folder is not ours, or the disk is full.
    """
    for file in files:
        path = landing / file.tenant / file.name
        draft = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file() and path.read_bytes() == file.content:
                continue
            draft.write_bytes(file.content)
            draft.replace(path)
        except OSError as error:
            raise RefusalError("cannot_write", f"{path}: {error.strerror}", str(path)) from error


def _catch_up(settings: Settings, until: str, progress: Any) -> Iterator[Timing]:
    """Run Dagster's jobs up to a stage, each printed once it is done."""
    from valueverse.platform.servers.due_work import run_due

    with progress.status(f"running Dagster up to {until}") as status:
        for step in run_due(settings, until, status.update):
            yield _progress_line(progress, Timing(step.stage, step.what, step.seconds))


def demo_keys(settings: Settings) -> dict[str, str]:
    """An API key of each tenant: the one of the last demo while it is valid, else a new one.

    They are in ``demo-keys.json`` in the installation's home, readable by its owner alone.
    """
    from valueverse.demo import harbor_catalog, northwind
    from valueverse.platform.access.api_keys import issue_api_key, verify_api_key
    from valueverse.platform.warehouse import connect

    path = settings.home / "demo-keys.json"
    known: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    found = {}
    with connect(settings, "builder") as connection:
        for tenant in (northwind.TENANT, harbor_catalog.TENANT):
            key = known.get(tenant)
            valid = key is not None and verify_api_key(connection, key) == tenant
            found[tenant] = key if key and valid else issue_api_key(connection, tenant, name="demo")
    draft = path.with_suffix(".part")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(found, file, indent=2)
    draft.replace(path)
    return found


def _serve(settings: Settings, progress: Any) -> dict[str, str]:
    """Start what people look at; a server that does not start is reported; the result stays as it is."""
    from valueverse.platform.servers import supervisor

    found = {}
    for name in (supervisor.DAGSTER, supervisor.API):
        try:
            for _ in supervisor.up(settings, (name,)):
                pass
        except RefusalError as refusal:
            progress.print(f"[yellow]![/yellow] {refusal.message}", soft_wrap=True)
        if address := supervisor.url(settings, name):
            found[name] = address
    return found
