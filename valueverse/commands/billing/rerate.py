"""``valueverse rerate``: what past invoices would come to under other terms, shown first, then booked."""

from __future__ import annotations

import json
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.billing.window import FROM_HELP, TO_HELP, read_day
from valueverse.commands.output import (
    AsJson,
    console,
    for_people,
    sentence,
    show_json,
    show_json_lines,
    write_text,
    wrote,
)
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from rich.console import Console

    from valueverse.services.billing.rerate import RerateRequest
    from valueverse.services.price_changes.rerate_review import Review

_rerate = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Re-rate finalised invoices: plan the differences, review the plan, then apply it.",
)
Tenants = Annotated[list[str], typer.Option("--tenant", help="Tenant; may be given again.")]
Customers = Annotated[list[str] | None, typer.Option("--customer", help="Only these customers.")]
CatalogFile = Annotated[Path | None, typer.Option("--catalog", help="Another catalog; without it: terms as known now.")]


def _read_plan(file: Path) -> dict[str, Any]:
    try:
        plan = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RefusalError("unreadable_file", f"{file}: {error}", "PLAN") from error
    return plan if isinstance(plan, dict) else {}


@_rerate.command("plan")
def plan(  # noqa: PLR0917 - options of a command
    tenant: Tenants,
    start: Annotated[str, typer.Option("--from", help=FROM_HELP)],
    end: Annotated[str, typer.Option("--to", help=TO_HELP)],
    catalog: CatalogFile = None,
    customer: Customers = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the plan to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compute the differences per customer, invoice and line; nothing is booked.

    [dim]valueverse rerate plan --tenant acme --from 2023-10-01 --to 2023-12-31 --catalog new.yaml --out plan.json[/dim]
    """
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import get_settings
    from valueverse.services.billing.rerate import RerateRequest
    from valueverse.services.billing.rerate import plan as work
    from valueverse.services.per_tenant import report
    from valueverse.services.price_changes.rerate_review import review
    from valueverse.services.simulation.simulate import read_catalog

    chosen = None if catalog is None else read_catalog(catalog)
    request = RerateRequest(
        tuple(sorted(tenant)), read_day(start, "--from"), read_day(end, "--to"), tuple(sorted(customer or ())), chosen
    )
    settings = get_settings()
    found, failures = work(settings, Lake(settings.lake_url), request, as_of=datetime.now(UTC))
    text = json.dumps(found, ensure_ascii=False, indent=2) + "\n"
    if out is not None:
        write_text(out, text)
    elif not for_people(as_json=as_json):
        sys.stdout.write(text)
    if not as_json:
        # At a terminal the answer; else beside it, so that a pipe stays clean.
        text_out = console(stderr=not for_people(as_json=False))
        _show(review(settings, found), _next(request, catalog, out, found), text_out)
    if code := report(failures):
        raise typer.Exit(code)


@_rerate.command("show")
def show(
    file: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan that `rerate plan` wrote.")],
    catalog: CatalogFile = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the review as one HTML page to this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Review a plan: sums, who pays more and who less, every invoice before and after; as a page with --out.

    With --json each invoice as an object. The command that applies the plan names the catalog that is given here.

    [dim]valueverse rerate show plan.json --out plan.html[/dim]
    """
    from valueverse.platform.settings import get_settings
    from valueverse.services.price_changes.rerate_page import rerate_page
    from valueverse.services.price_changes.rerate_review import invoices_as_json, review

    found = review(get_settings(), _read_plan(file))
    apply = _apply(file, catalog, found.plan)
    if out is not None:
        write_text(out, rerate_page(found, apply))
        wrote(out, as_json=as_json)
    elif as_json:
        show_json_lines(invoices_as_json(found))
    else:
        _show(found, [apply], console())


def _show(found: Review, commands: list[str], out: Console) -> None:
    """A plan for people."""
    from valueverse.commands.billing.changes import show_changes

    plan = found.plan
    changed = sum(1 for one in found.invoices if one.difference)
    out.print(
        sentence(
            f"{plan['invoices']:,} invoices of periods that end after {plan['from']} and up to {plan['to']}, re-rated: "
            f"{changed:,} change, {len(plan['rows']):,} lines; net, before tax"
        )
    )
    out.print()
    show_changes(out, found.invoices, commands)


def _next(request: RerateRequest, catalog: Path | None, out: Path | None, plan: dict[str, Any]) -> list[str]:
    """What to type after a plan."""
    given = "" if catalog is None else f" --catalog {shlex.quote(str(catalog))}"
    if out is None:
        options = [f" --tenant {shlex.quote(one)}" for one in request.tenants]
        options += [f" --customer {shlex.quote(one)}" for one in request.customers]
        dates = f" --from {request.start} --to {request.end}"
        return [f"valueverse rerate plan{''.join(options)}{dates}{given} --out plan.json"]
    page = shlex.quote(str(out.with_suffix(".html")))
    return [f"valueverse rerate show {shlex.quote(str(out))}{given} --out {page}", _apply(out, catalog, plan)]


def _apply(file: Path, catalog: Path | None, plan: dict[str, Any]) -> str:
    """The command that applies a plan; of one with another catalog, which it does not hold, the file is named."""
    named = catalog or (Path("CATALOG") if plan["catalog_hash"] else None)
    given = "" if named is None else f" --catalog {shlex.quote(str(named))}"
    return f"valueverse rerate apply {shlex.quote(str(file))}{given}"


@_rerate.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan that `rerate plan` wrote.")],
    catalog: CatalogFile = None,
    as_json: AsJson = False,
) -> None:
    """Apply a plan: its differences are billed on the next invoices. Refused if anything changed since.

    [dim]valueverse rerate apply plan.json --catalog new.yaml[/dim]
    """
    from valueverse.catalog import catalog_hash
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import get_settings
    from valueverse.services.billing.rerate import apply as work
    from valueverse.services.price_changes.rerate_review import request_of
    from valueverse.services.simulation.simulate import read_catalog

    shown, chosen = _read_plan(file), None if catalog is None else read_catalog(catalog)
    if (None if chosen is None else catalog_hash(chosen)) != shown.get("catalog_hash"):
        raise RefusalError("other_catalog", "this is not the catalog that the plan was made with", "--catalog")
    request = request_of(shown, chosen)
    settings = get_settings()
    count = work(settings, Lake(settings.lake_url), shown, request, as_of=datetime.now(UTC))
    if as_json:
        show_json({"plan": str(file), "invoices": count})
    console(stderr=True).print(f"applied to {count:,} invoices: the next billing run books the differences")


def register(app: typer.Typer) -> None:
    """Add ``rerate`` to the command line."""
    app.add_typer(_rerate, name="rerate")
