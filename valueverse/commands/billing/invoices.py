"""``valueverse invoices list | show | pdf | xml``: invoices that were billed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.output import (
    AsJson,
    console,
    money,
    number,
    sentence,
    show_json,
    show_json_lines,
    table,
    warnings_shown,
    wrote,
)

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
        show_json_lines(found[:limit])
    elif found:
        print_invoices(console(), found[:limit])
    else:
        console().print("no invoices; `valueverse run` runs what is due")
    if not as_json and len(found) > limit:
        console().print("... and more: --limit shows further ones, --tenant and --customer narrow the list")


def print_invoices(out: Console, found: list[dict[str, Any]]) -> None:
    """A table with a row for each."""
    styles = {"draft": "dim", "finalised": "green", "voided": "red"}
    rows = [
        (
            one["number"],
            one["customer"],
            f"{one['first_day']}..{one['last_day']}",
            sentence(one["status"], styles[one["status"]]),
            money(one["total"], one["currency"]),
            number(one["amount_due"]),
        )
        for one in found
    ]
    out.print(table(("number", "customer", "period", "status", "total", "due"), rows, right=("total", "due")))


@_invoices.command("show")
def show(number: _NUMBER, as_json: AsJson = False) -> None:
    """Show an invoice: its lines, discounts, taxes and what is due. With --json its document as it was hashed.

    [dim]valueverse invoices show acme-000001[/dim]
    """
    found = _find(number)
    if as_json:
        show_json(found.document)
    else:
        _show_one(found)


def _show_one(found: StoredInvoice) -> None:
    out, document, shown = console(), found.document, found.in_english()
    parties = f"{found.parties.seller} to {found.parties.buyer}"
    out.print(sentence(f"{document['number']} {document['status']}: {parties}", "bold"))
    due = f", due {document['due_on']}" if document["due_on"] else ""
    out.print(sentence(f"issued {document['issued_on']}{due}, {shown.days(document['period'])}"))
    rows = [
        (shown.name(one), shown.days(one["service_period"]), number(one["quantity"]) or "", shown.money(one["amount"]))
        for one in document["lines"]
    ]
    rows += [(label, "", "", amount) for label, amount in shown.totals()]
    out.print(table(("", "period", "quantity", "amount"), rows, right=("quantity", "amount")))
    if since := shown.since_issued(found.history, found.credit_notes):
        out.print(table(("since it was issued", "amount"), since, right=("amount",)))


@_invoices.command("pdf")
def pdf(
    number: _NUMBER,
    credit_note: Annotated[
        str | None, typer.Option("--credit-note", help="This credit note for it instead, as `invoices show` names it.")
    ] = None,
    out: _OUT = None,
    as_json: AsJson = False,
) -> None:
    """Write an invoice as a PDF, with the names and addresses that tenant and customer state.

    Where both have a country it is Factur-X (ZUGFeRD): systems read the electronic invoice inside of it.

    [dim]valueverse invoices pdf acme-000001 --out invoice.pdf[/dim]

    [dim]valueverse invoices pdf acme-000001 --credit-note crm#7 --out credit.pdf[/dim]
    """
    from valueverse.platform.settings import get_settings

    found, fonts = _find(number), get_settings().fonts
    with warnings_shown():
        body = found.pdf(fonts) if credit_note is None else found.credit_note_pdf(credit_note, fonts)
    _write(body, out or Path(f"{number}{'' if credit_note is None else '-credit-note'}.pdf"), as_json=as_json)


@_invoices.command("xml")
def xml(number: _NUMBER, form: _SYNTAX = "ubl", out: _OUT = None, as_json: AsJson = False) -> None:
    """Write an invoice as an electronic one (EN 16931). Tenant and customer need a country each.

    The PDF of `invoices pdf` has the same invoice inside, in CII: it is Factur-X (ZUGFeRD).

    [dim]valueverse invoices xml acme-000001 --format cii --out factur-x.xml[/dim]
    """
    from valueverse.invoicing.rendering import known_syntax

    syntax = known_syntax(form)
    _write(_find(number).xml(syntax), out or Path(f"{number}.xml"), as_json=as_json)


def _find(number: str) -> StoredInvoice:
    from valueverse.platform.settings import get_settings
    from valueverse.platform.warehouse import connect
    from valueverse.services.billing.invoices import find_invoice

    with connect(get_settings(), "builder") as connection:
        return find_invoice(connection, number)


def _write(body: bytes, path: Path, *, as_json: bool) -> None:
    path.write_bytes(body)
    wrote(path, as_json=as_json)
