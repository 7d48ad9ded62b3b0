"""``valueverse demo``: two tenants from raw events to invoices, marts and an API, run by Dagster."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Self, TypeVar

import typer

from valueverse.commands.output import AsJson, console
from valueverse.commands.progress import Timing, print_step
from valueverse.errors import RefusalError
from valueverse.services.demo.step_time import StepTime

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from rich.console import Console

    from valueverse.demo.files import DemoFile
    from valueverse.platform.servers.due_work import DueWork
    from valueverse.platform.settings import Settings
    from valueverse.services.demo.http_events import ProvenReceipt

T = TypeVar("T")
SENT = 1_000
"""Events of the traces that are sent over HTTP."""
_SCOPES = ("events:write", "billing:read", "audit:read")

_DEMO = """Run the main job on real data: events in, invoices, marts and an API out, all through Dagster.

Starts the embedded servers, takes the events of two tenants in two deliveries, by files and over HTTP, and asks for
exactly the partitions they touch. Ends with what came of it in short, and a page with everything. Run it again: no
event is counted twice, every number and hash stays. --json: every finalised invoice, one JSON document per line.

[dim]valueverse demo --no-serve[/dim]"""


def register(app: typer.Typer) -> None:
    """Add the command to ``app``."""
    app.command("demo", help=_DEMO)(_demo)


def _demo(
    customers: Annotated[int, typer.Option(min=10, max=2000, help="Customers of the generated tenant.")] = 120,
    serve: Annotated[bool, typer.Option(help="Leave the Dagster UI and the API running at the end.")] = True,
    as_json: AsJson = False,
) -> None:
    from valueverse.commands.servers.demo_summary import next_steps, print_summary
    from valueverse.platform.settings import get_settings
    from valueverse.services.demo.page import demo_page
    from valueverse.services.demo.results import demo_results, invoice_documents

    settings = get_settings()
    addresses: dict[str, str] = {}
    with DemoSteps(console(stderr=True)) as steps:
        receipt = run_demo(settings, customers, steps, stop_api=not serve)
        if serve:
            addresses = steps.run("serve", "Dagster UI", lambda: _serve(settings, steps.console))
        steps.ended("other", "starting Dagster's processes", steps.unaccounted())
    results = demo_results(settings)
    following = next_steps(settings, addresses)
    page = settings.home / "reports" / "demo.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(demo_page(results, receipt, steps.done, following), encoding="utf-8")
    print_summary(console(stderr=as_json), results, receipt, steps.done, page, following)
    if as_json:
        for document in invoice_documents(settings):
            sys.stdout.write(document + "\n")


def run_demo(settings: Settings, customers: int, steps: DemoSteps, *, stop_api: bool) -> ProvenReceipt:
    """Every step up to the marts, the value report and the proof of what was sent over HTTP.

    Which stages run, and in which order, is the table's (``pipelines.stages``). After which of them the demo pauses is
    its own script and no attribute of a stage, as an installation never pauses there: late events and corrections are
    delivered once usage of their dates is derived, so that it is derived again; the value model is agreed once its
    month is billed and before it is measured; the report is written from the marts. A stage more runs in its place in
    the table without a change here.

    Args:
        settings: of the installation.
        customers: of the generated tenant.
        steps: where progress goes.
        stop_api: the API is stopped once the receipt is proven, unless it ran before.
    """
    from valueverse.commands.servers.demo_value import agree, write_report
    from valueverse.demo import harbor, northwind
    from valueverse.platform.servers.due_work import DueWork
    from valueverse.services.demo.http_events import prove_receipt, send_events

    with DueWork(settings) as due:
        steps.run("servers", "PostgreSQL, Valkey, migrations", lambda: _start(settings, ("postgres", "valkey")))
        landed, sent = northwind.split_deliveries(_first_delivery(customers), SENT)
        steps.run(
            "delivery 1",
            "events of both tenants into the landing folder",
            lambda: deliver(settings.landing, landed),
        )
        _catch_up(due, "usage", steps)
        key = steps.run("keys", "an API key for each tenant", lambda: demo_keys(settings))[northwind.TENANT]
        with _api(settings, steps, stop=stop_api) as address:
            steps.run(
                "delivery 2",
                "late events and corrections",
                lambda: deliver(settings.landing, harbor.late_files(customers)),
            )
            steps.run(
                "delivery 2",
                "the last of the traffic, over HTTP",
                lambda: send_events(settings, address, key, sent),
            )
            _catch_up(due, "billing", steps)
            steps.run("agree", "a value model, committed and approved by both sides", lambda: agree(settings))
            _catch_up(due, "marts", steps)
            receipt = steps.run(
                "proof",
                "the audit log signed; the receipt of the events that were sent verified",
                lambda: prove_receipt(settings, address, key, northwind.TENANT, sent),
            )
    steps.run("report", "the realised value, as a page for the customer", lambda: write_report(settings))
    return receipt


@contextmanager
def _api(settings: Settings, steps: DemoSteps, *, stop: bool) -> Iterator[str]:
    """The API's address while it runs; it is stopped afterwards where ``stop`` says so and it was started here."""
    from valueverse.platform.servers import supervisor

    ran = supervisor.url(settings, supervisor.API) is not None
    steps.run("serve", "the API", lambda: _start(settings, (supervisor.API,)))
    try:
        yield supervisor.url(settings, supervisor.API) or ""
    finally:
        if stop and not ran:
            for _ in supervisor.down(settings, (supervisor.API,)):
                pass


class DemoSteps:
    """The steps of a demonstration as they run: a live line on a terminal, a line for each that is done elsewhere.

    Attributes:
        console: where they are shown.
        done: those that succeeded, in order.
    """

    def __init__(self, console: Console) -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        self.console = console
        self._began = time.perf_counter()
        self.done: list[StepTime] = []
        text = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis"), markup=False)
        self._live = Progress(
            SpinnerColumn(), TimeElapsedColumn(), text, console=console, transient=True, disable=not console.is_terminal
        )
        self._line = self._live.add_task("starting")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def begins(self, what: str) -> None:
        """Show what is being done now."""
        self._live.update(self._line, description=what)

    def ended(self, step: str, what: str, seconds: float) -> None:
        """Record a step that succeeded."""
        self.done.append(StepTime(step, what, seconds))
        if not self.console.is_terminal:
            print_step(self.console, Timing(step, what, seconds))

    def unaccounted(self) -> float:
        """Seconds since the beginning that are in no step."""
        return time.perf_counter() - self._began - sum(one.seconds for one in self.done)

    def run(self, step: str, what: str, work: Callable[[], T]) -> T:
        """The result of ``work``, as one step."""
        self.begins(what)
        began = time.perf_counter()
        result = work()
        self.ended(step, what, time.perf_counter() - began)
        return result


def _start(settings: Settings, servers: Collection[str]) -> None:
    from valueverse.platform.servers import supervisor

    for _ in supervisor.up(settings, servers):
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


def _catch_up(due: DueWork, until: str, steps: DemoSteps) -> None:
    """Run Dagster's jobs up to a stage."""
    steps.begins(f"running Dagster up to {until}")
    for step in due.run(until, steps.begins):
        steps.ended(step.stage, step.what, step.seconds)


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
            found[tenant] = key if key and valid else issue_api_key(connection, tenant, _SCOPES, "demo")
    draft = path.with_suffix(".part")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(found, file, indent=2)
    draft.replace(path)
    return found


def _serve(settings: Settings, progress: Console) -> dict[str, str]:
    """Start what people look at; a server that does not start is reported; the result stays as it is."""
    from valueverse.platform.servers import supervisor

    shown = (supervisor.DAGSTER, supervisor.API)
    try:
        for _ in supervisor.up(settings, shown):
            pass
    except RefusalError as refusal:
        progress.print(f"[yellow]![/yellow] {refusal.message}", soft_wrap=True)
    return {name: address for name in shown if (address := supervisor.url(settings, name))}
