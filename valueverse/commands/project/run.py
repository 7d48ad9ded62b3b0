"""``valueverse run``: whatever is due, and what came of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import typer

from valueverse.commands.output import AsJson, console, show_json

if TYPE_CHECKING:
    from rich.console import Console

    from valueverse.platform.settings import Settings
    from valueverse.services.project.run_project import RunResult

_SHOWN = 20
_MOST = 100_000


def register(app: typer.Typer) -> None:
    """Add ``run`` to the command line."""

    @app.command("run")
    def run(
        as_json: AsJson = False,
    ) -> None:
        """Run whatever is due: take the files of the landing folder, bill, reconcile, build the marts.

        Starts PostgreSQL and Valkey where they do not run, publishes the project's catalog the first time, shows each
        step as it ends, then the invoices that were made and which events were not used, and why.

        Exit 0: all that was due ran. Exit 1: it ran but for tenants that are held, each with its reason. Exit 2: it
        stopped, and says why; run it again once that is mended.

        [dim]cd my-billing && valueverse run[/dim]
        """
        from valueverse.platform.settings import get_settings
        from valueverse.services.project.run_project import require_project, result_of

        settings = get_settings()
        require_project(settings)
        progress = console(stderr=True)
        catalog, runs = _run(settings, progress)
        result = result_of(settings, runs, _MOST)
        if as_json:
            show_json({"catalog": catalog, "runs": runs, **result.document()})
        else:
            _show(console(), result)
        raise typer.Exit(1 if result.held else 0)


def _run(settings: Settings, progress: Console) -> tuple[str, list[str]]:
    """Start servers, publish, run what is due, a line for each step; the catalog's state and ids of Dagster's runs."""
    from rich.markup import escape

    from valueverse.commands.progress import Timing, print_step
    from valueverse.platform.servers import supervisor
    from valueverse.platform.servers.due_work import DueWork
    from valueverse.services.project.run_project import publish_project_catalog

    with DueWork(settings) as due:
        began = time.perf_counter()
        with progress.status("starting PostgreSQL and Valkey"):
            started = list(supervisor.up(settings, ("postgres", "valkey")))
        print_step(progress, Timing("servers", "PostgreSQL, Valkey, migrations", time.perf_counter() - began))
        for one in started:
            if one.detail not in {"", supervisor.ALREADY}:
                progress.print(f"[yellow]![/yellow] {one.name} {escape(one.detail)}")
        catalog = publish_project_catalog(settings)
        if catalog.is_new:
            print_step(progress, Timing("catalog", f"publish {catalog.sentence}", 0.0))
        elif catalog.sentence:
            progress.print(f"[yellow]![/yellow] {escape(catalog.sentence)}")
        runs = []
        with progress.status("looking for what is due") as status:
            for step in due.run(begins=status.update):
                print_step(progress, Timing(step.stage, step.what, step.seconds))
                runs.append(step.run_id)
    return catalog.sentence, runs


def _show(out: Console, result: RunResult) -> None:
    from valueverse.commands.billing.invoices import print_invoices

    if result.invoices:
        print_invoices(out, result.invoices[:_SHOWN])
    else:
        out.print("no invoice is new; `valueverse invoices list` shows those there are")
    if len(result.invoices) > _SHOWN:
        out.print(f"... and {len(result.invoices) - _SHOWN:,} more: `valueverse invoices list`")
    for tenant, tally in list(result.events.items())[:_SHOWN]:
        for place, sentence in enumerate(tally.sentences()):
            out.print(f"{tenant}: {sentence}" if place == 0 else f"  {sentence}", markup=False, soft_wrap=True)
    if len(result.events) > _SHOWN:
        out.print(f"... and {len(result.events) - _SHOWN:,} tenants more: --json lists all")
    for line in [*result.ignored, *result.held]:
        out.print(line, style="yellow", markup=False, soft_wrap=True)
    number = next((one["number"] for one in result.invoices if one["number"]), None)
    out.print("next:")
    for command in _next_commands(number):
        out.print(f"  {command}", markup=False, soft_wrap=True)


def _next_commands(number: str | None) -> list[str]:
    shown = [f"valueverse invoices show {number}", f"valueverse invoices pdf {number} --out invoice.pdf"]
    return [
        *(shown if number else []),
        "valueverse up       # Dagster, which runs what is due by itself from then on, and the API",
        "valueverse down     # stops all servers",
    ]
