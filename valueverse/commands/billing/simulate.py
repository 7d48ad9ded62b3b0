"""``valueverse simulate``: any catalog against any past, from files or the lake, by the engine that bills."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.billing.window import FROM_HELP, TO_HELP, read_day
from valueverse.commands.output import AsJson, console, for_people, show_table
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from valueverse.platform.lake import Lake
    from valueverse.services.simulation.simulate import SimulatedInvoice, Window


def _instant(text: str, option: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise RefusalError("bad_time", f"{text!r} is not an RFC 3339 time", option) from error
    if moment.tzinfo is None:
        raise RefusalError("bad_time", f"{text!r} has no offset: end it with Z or +00:00", option)
    return moment.astimezone(UTC)


def _show_invoices(found: list[SimulatedInvoice]) -> None:
    """Invoices as a table."""
    from valueverse.services.price_changes.money_changes import money_text

    rows = [
        (
            one.document["tenant"],
            one.document["customer"],
            "..".join(day.isoformat() for day in one.days),
            money_text(Decimal(one.document["total"]), one.document["currency"]),
        )
        for one in found
    ]
    if rows:
        show_table(("tenant", "customer", "period", "total"), rows, right=("total",))
    else:
        console().print("no invoices: see the lines above")


def _write(found: Iterable[dict[str, Any]]) -> None:
    for document in found:
        sys.stdout.write(json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n")
    sys.stdout.flush()


def _answer(found: list[SimulatedInvoice], *, as_json: bool) -> None:
    """Invoices: JSON for programs, a table for people."""
    if for_people(as_json=as_json):
        _show_invoices(found)
    else:
        _write(one.document for one in found)


def _answer_compared(found: list[dict[str, Any]], other: Path, window: Window, *, as_json: bool, lake: bool) -> None:
    """JSON for programs; for people what the comparison changes, beside a pipe too."""
    shown = for_people(as_json=as_json)
    if not shown:
        _write(found)
    if shown or (sys.stderr.isatty() and not as_json):
        _show_comparison(found, other, window, lake=lake)


def _show_comparison(found: list[dict[str, Any]], other: Path, window: Window, *, lake: bool) -> None:
    """What the other catalog changes: at a terminal the answer; else beside it, so that a pipe stays clean."""
    from valueverse.commands.billing.changes import show_changes
    from valueverse.services.price_changes.money_changes import compared_changes

    changes = compared_changes(found)
    tenants = sorted({one.tenant for one in changes if one.difference})
    show_changes(console(stderr=not for_people(as_json=False)), changes, _next(other, tenants, window, lake=lake))


def _next(catalog: Path, tenants: list[str], window: Window, *, lake: bool) -> list[str]:
    """What to type after a comparison with a catalog."""
    file = shlex.quote(str(catalog))
    published = f"valueverse catalog publish {file} --effective {(datetime.now(UTC) + timedelta(days=1)).date()}"
    if not lake:
        return [published]
    options = "".join(f" --tenant {shlex.quote(one)}" for one in tenants)
    dates = f"--from {window.first} --to {window.last}"
    return [f"valueverse rerate plan{options} {dates} --catalog {file} --out plan.json", published]


def _lake() -> Lake:
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import get_settings

    return Lake(get_settings().lake_url)


def register(app: typer.Typer) -> None:
    """Add ``simulate`` to the command line."""

    @app.command("simulate")
    def simulate(  # noqa: PLR0913, PLR0917 - the options of the public contract
        catalog: Annotated[Path, typer.Option("--catalog", help="Catalog (YAML or JSON) that holds for every tenant.")],
        events: Annotated[list[Path] | None, typer.Option("--events", help="Event file; may be given again.")] = None,
        more: Annotated[list[Path] | None, typer.Argument(help="Further event files.")] = None,
        landing: Annotated[Path | None, typer.Option("--landing", help="Landing folder: DIR/<tenant>/files.")] = None,
        lake: Annotated[
            bool, typer.Option("--lake", help="All that this installation has ever received, instead of files.")
        ] = False,
        tenant: Annotated[
            list[str] | None, typer.Option("--tenant", help="With --lake: only this tenant; may be given again.")
        ] = None,
        start: Annotated[str | None, typer.Option("--from", help=FROM_HELP)] = None,
        end: Annotated[str | None, typer.Option("--to", help=TO_HELP)] = None,
        known_at: Annotated[str | None, typer.Option("--known-at", help="As known at this RFC 3339 time.")] = None,
        run_at: Annotated[
            list[str] | None,
            typer.Option("--run-at", help="Bill as a run at this time would; again: runs in turn, with corrections."),
        ] = None,
        compare: Annotated[
            Path | None, typer.Option("--compare", help="A second catalog: print the money diff.")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Bill past events under a catalog: at a terminal a table, else invoice documents, one JSON object per line.

        Needs no server.

        [dim]valueverse simulate --catalog catalog.yaml --events events.ndjson --from 2023-11-01 --to 2023-12-01[/dim]

        [dim]valueverse simulate --lake --tenant acme --catalog catalog.yaml --compare dearer.yaml[/dim]
        """
        from valueverse.services.per_tenant import report
        from valueverse.services.simulation.simulate import (
            SimulationRequest,
            difference,
            each_tenant,
            parsed,
            print_note,
            read_catalog,
            read_log,
            recorded_log,
            simulated,
            window_of,
        )

        chosen, other = read_catalog(catalog), None if compare is None else read_catalog(compare, "--compare")
        files = [*(events or []), *(more or [])]
        if lake and (files or landing is not None):
            raise RefusalError(
                "contradiction", "--lake is all that was received: leave out files and --landing", "--lake"
            )
        if tenant and not lake:
            raise RefusalError("contradiction", "--tenant chooses among the tenants of --lake: add --lake", "--tenant")
        log, tally = recorded_log(_lake(), tenant or []) if lake else read_log(parsed(files, landing))
        first = None if start is None else read_day(start, "--from")
        window = window_of(log, first, None if end is None else read_day(end, "--to"))
        if known_at is not None and run_at:
            raise RefusalError("contradiction", "--known-at is one state of knowledge, --run-at several", "--run-at")
        moment = None if known_at is None else _instant(known_at, "--known-at")
        request = SimulationRequest(
            window.bounds, moment, tuple(_instant(text, "--run-at") for text in run_at or []), lake
        )
        print_note(window.sentence)
        if other is None or compare is None:
            found, failures = each_tenant(log, tally, lambda part, own: list(simulated(part, chosen, request, own)))
            _answer(found, as_json=as_json)
        else:
            rows, failures = each_tenant(log, tally, lambda part, own: difference(part, chosen, other, request, own))
            _answer_compared(rows, compare, window, as_json=as_json, lake=lake)
        if code := report(failures):
            raise typer.Exit(code)
