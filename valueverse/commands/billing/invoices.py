"""``valueverse invoices list | show | pdf | xml``: invoices that were billed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.output import AsJson, show_json

if TYPE_CHECKING:
    from rich.console import Console

    from valueverse.services.billing.invoices import StoredInvoice

_invoices = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Invoices that were billed: list, show, typeset them."
)
_NUMBER = Annotated[str, typer.Argument(help="Number of a finalised invoice.")]
_OUT = Annotated[Path | None, typer.Option("--out", help="Where to write; NUMBER and the format's ending by default.")]

_SYNTAX = Annotated[
    str, typer.Option("--format", help="ubl: UBL 2.1, as Peppol sends it; cii: CII D22B, as Factur-X embeds it.")
]


def register(app: typer.Typer) -> None:
    """Add ``invoices`` to the command line."""
    app.add_typer(_invoices, name="invoices")


@_invoices.command("list")
def list_command(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.")] = None,
    customer: Annotated[str | None, typer.Option("--customer", help="Only this customer's.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="Only draft, finalised or voided ones.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List invoices, the latest issued of each tenant first. With --json one object per line.

    [dim]valueverse invoices list --tenant acme --status finalised[/dim]
    """
    from valueverse.platform.settings import get_settings
    from valueverse.platform.warehouse import connect
    from valueverse.services.billing.invoices import list_invoices

    with connect(get_settings(), "builder") as connection:
        found = list_invoices(connection, tenant, customer, status, limit + 1)
    if as_json:
        for one in found[:limit]:
            show_json(one)
    else:
        _show_list(found[:limit], more=len(found) > limit)


def _show_list(found: list[dict[str, Any]], *, more: bool) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    if found:
        print_invoices(console, found)
    else:
        console.print("no invoices; `valueverse run` runs what is due")
    if more:
        console.print("... and more: --limit shows further ones, --tenant and --customer narrow the list")


def print_invoices(console: Console, found: list[dict[str, Any]]) -> None:
    """A table with a row for each."""
    from rich.markup import escape
    from rich.table import Table

    styles = {"draft": "dim", "finalised": "green", "voided": "red"}
    table = Table("number", "customer", "period", "status", "total", "due", header_style="dim", box=None)
    for place in (4, 5):
        table.columns[place].justify = "right"
    table.columns[2].no_wrap = True
    for one in found:
        period = f"{one['period_from']:%Y-%m-%d}..{one['period_to']:%Y-%m-%d}"
        status = f"[{styles[one['status']]}]{one['status']}[/]"
        amounts = (f"{one['total']} {one['currency']}", one["amount_due"])
        table.add_row(escape(one["number"] or "-"), escape(one["customer"]), period, status, *amounts)
    console.print(table)


@_invoices.command("show")
def show(number: _NUMBER, as_json: AsJson = False) -> None:
    """Show an invoice: its lines, discounts, taxes and what is due. With --json its document as it was hashed.

    [dim]valueverse invoices show acme-000001[/dim]
    """
    found = _find(number)
    if as_json:
        show_json(found.document)
    else:
        _show_one(found.document, found.parties.seller, found.parties.buyer)


def _show_one(document: dict[str, Any], seller: str, buyer: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    console.print(
        f"[bold]{escape(document['number'])}[/bold] {document['status']}: {escape(seller)} to {escape(buyer)}"
    )
    due = f", due {document['due_on']}" if document["due_on"] else ""
    console.print(f"issued {document['issued_on']}{due}, period {_days(document['period'])}")
    table = Table("", "quantity", document["currency"], header_style="dim", box=None, show_footer=False)
    for place in (1, 2):
        table.columns[place].justify = "right"
    for line in document["lines"]:
        table.add_row(escape(line["description"]), line["quantity"] or "", line["amount"])
    for one in document["discounts"]:
        table.add_row(escape(f"discount {one['key']}"), "", f"-{one['amount']}")
    for one in document["taxes"]:
        table.add_row(escape(f"{one['key']} {one['percent']} %"), "", one["amount"])
    table.add_section()
    for name in ("subtotal", "discount_total", "tax_total", "total", "credit_total", "amount_due"):
        if name in {"subtotal", "total", "amount_due"} or any(digit in document[name] for digit in "123456789"):
            table.add_row(name.replace("_", " "), "", document[name])
    console.print(table)


def _days(period: dict[str, str]) -> str:
    return f"{period['from'][:10]} to {period['to'][:10]}"


@_invoices.command("pdf")
def pdf(number: _NUMBER, out: _OUT = None) -> None:
    """Write an invoice as a PDF, with the names and addresses that tenant and customer state.

    Where both have a country it is Factur-X (ZUGFeRD): systems read the electronic invoice inside of it.

    [dim]valueverse invoices pdf acme-000001 --out invoice.pdf[/dim]
    """
    _write(_find(number).pdf(), out or Path(f"{number}.pdf"))


@_invoices.command("xml")
def xml(number: _NUMBER, form: _SYNTAX = "ubl", out: _OUT = None) -> None:
    """Write an invoice as an electronic one (EN 16931). Tenant and customer need a country each.

    The PDF of `invoices pdf` has the same invoice inside, in CII: it is Factur-X (ZUGFeRD).

    [dim]valueverse invoices xml acme-000001 --format cii --out factur-x.xml[/dim]
    """
    from valueverse.invoicing.rendering import known_syntax

    syntax = known_syntax(form)
    _write(_find(number).xml(syntax), out or Path(f"{number}.xml"))


def _find(number: str) -> StoredInvoice:
    from valueverse.platform.settings import get_settings
    from valueverse.platform.warehouse import connect
    from valueverse.services.billing.invoices import find_invoice

    with connect(get_settings(), "builder") as connection:
        return find_invoice(connection, number)


def _write(body: bytes, path: Path) -> None:
    path.write_bytes(body)
    typer.echo(f"wrote {path}", err=True)
