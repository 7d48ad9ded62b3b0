"""``valueverse rerate``: what past invoices would come to under other terms, shown first, then booked."""

from __future__ import annotations

import json
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from valueverse.services.billing.rerate import RerateRequest

_rerate = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Re-rate finalised invoices: plan the differences, review the plan, then apply it.",
)
Tenants = Annotated[list[str], typer.Option("--tenant", help="Tenant; may be given again.")]
Customers = Annotated[list[str] | None, typer.Option("--customer", help="Only these customers.")]
CatalogFile = Annotated[Path | None, typer.Option("--catalog", help="Another catalog; without it: terms as known now.")]


def _asked(shown: dict[str, Any], catalog: Path | None) -> RerateRequest:
    from valueverse.catalog import catalog_hash
    from valueverse.services.billing.rerate import RerateRequest
    from valueverse.services.simulation.simulate import read_catalog

    chosen = None if catalog is None else read_catalog(catalog)
    if (None if chosen is None else catalog_hash(chosen)) != shown.get("catalog_hash"):
        raise RefusalError("other_catalog", "this is not the catalog that the plan was made with", "--catalog")
    try:
        return RerateRequest(
            tuple(shown["tenants"]),
            date.fromisoformat(shown["from"]),
            date.fromisoformat(shown["to"]),
            tuple(shown["customers"]),
            chosen,
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RefusalError("bad_plan", f"not a re-rating plan: {error}", "PLAN") from error


def _day(text: str, option: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise RefusalError("bad_date", f"{text!r} is not a date like 2024-01-31", option) from error


def _show(plan: dict[str, Any]) -> None:
    """Totals per customer, for people: on standard error, so that a pipe stays clean."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"{plan['invoices']} invoices re-rated, {len(plan['rows'])} lines change")
    for name in ("tenant", "customer", "currency", "difference"):
        table.add_column(name, justify="right" if name == "difference" else "left")
    for row in plan["totals"]:
        table.add_row(row["tenant"], row["customer"], row["currency"], row["difference"])
    Console(stderr=True).print(table)


@_rerate.command("plan")
def plan(
    tenant: Tenants,
    start: Annotated[str, typer.Option("--from", help="Invoices that close after this date ...")],
    end: Annotated[str, typer.Option("--to", help="... and up to this one.")],
    catalog: CatalogFile = None,
    customer: Customers = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the plan to this file.")] = None,
) -> None:
    """Compute the differences per customer, invoice and line; nothing is booked.

    [dim]valueverse rerate plan --tenant acme --from 2023-10-01 --to 2023-12-31 --catalog new.yaml --out plan.json[/dim]
    """
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import get_settings
    from valueverse.services.billing.rerate import RerateRequest
    from valueverse.services.billing.rerate import plan as work
    from valueverse.services.per_tenant import report
    from valueverse.services.simulation.simulate import read_catalog

    chosen = None if catalog is None else read_catalog(catalog)
    request = RerateRequest(
        tuple(sorted(tenant)), _day(start, "--from"), _day(end, "--to"), tuple(sorted(customer or ())), chosen
    )
    settings = get_settings()
    found, failures = work(settings, Lake(settings.lake_url), request, as_of=datetime.now(UTC))
    _show(found)
    text = json.dumps(found, ensure_ascii=False, indent=2) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, encoding="utf-8")
    if code := report(failures):
        raise typer.Exit(code)


@_rerate.command("apply")
def apply(
    file: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan that `rerate plan` wrote.")],
    catalog: CatalogFile = None,
) -> None:
    """Apply a plan: its differences are billed on the next invoices. Refused if anything changed since.

    [dim]valueverse rerate apply plan.json --catalog new.yaml[/dim]
    """
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import get_settings
    from valueverse.services.billing.rerate import apply as work

    try:
        shown = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RefusalError("unreadable_file", f"{file}: {error}", "PLAN") from error
    request = _asked(shown if isinstance(shown, dict) else {}, catalog)
    settings = get_settings()
    count = work(settings, Lake(settings.lake_url), shown, request, as_of=datetime.now(UTC))
    sys.stderr.write(f"applied to {count} invoices: the next billing run books the differences\n")


def register(app: typer.Typer) -> None:
    """Add ``rerate`` to the command line."""
    app.add_typer(_rerate, name="rerate")
