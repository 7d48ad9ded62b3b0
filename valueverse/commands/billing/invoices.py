"""``valueverse invoices list | show | upcoming | pdf | xml``: invoices that were billed, and those that come next."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.billing.customers import Tenant, account_of
from valueverse.commands.billing.window import read_day
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
    from valueverse.services.subscriptions.preview import UpcomingInvoices

_invoices = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Invoices that were billed: list, show, typeset them."
)
_NUMBER = Annotated[str, typer.Argument(help="Number of a finalised invoice.")]
_OUT = Annotated[Path | None, typer.Option("--out", help="Where to write; NUMBER and the format's ending by default.")]
_KNOWN_AT = Annotated[str | None, typer.Option("--known-at", help="As it was known at this instant, instead of now.")]
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
def show(number: _NUMBER, known_at: _KNOWN_AT = None, as_json: AsJson = False) -> None:
    """Show an invoice: its lines, discounts, taxes and what is due. With --json its document as it was hashed.

    [dim]valueverse invoices show acme-000001[/dim]
    """
    found = _find(number, known_at)
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


@_invoices.command("upcoming")
def upcoming(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="Key of the customer.")],
    tenant: Tenant,
    until: Annotated[
        str | None,
        typer.Option("--until", help="Invoices that close up to this date; those of the running period by default."),
    ] = None,
    events: Annotated[
        Path | None, typer.Option("--events", help="NDJSON of billing events that nobody has sent: what they change.")
    ] = None,
    known_at: _KNOWN_AT = None,
    as_json: AsJson = False,
) -> None:
    """Show what a customer would be invoiced next, with what is known now. With --json the documents of drafts.

    [dim]valueverse invoices upcoming c1 --tenant acme --until 2024-03-01[/dim]
    """
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import get_settings
    from valueverse.platform.stores.customer_invoices import CustomerInvoices
    from valueverse.platform.warehouse import connect
    from valueverse.services.billing.customer_usage import customer_usage
    from valueverse.services.billing.next_invoices import CustomerTerms
    from valueverse.services.subscriptions.hypothetical import read_events, with_events
    from valueverse.services.subscriptions.preview import upcoming_invoices

    settings, last = get_settings(), None if until is None else read_day(until, "--until")
    then = _instant(known_at)
    moment = then or datetime.now(UTC)
    log = account_of(tenant).log
    after = log if events is None else with_events(log, read_events(events), moment)
    usage = customer_usage(Lake(settings.lake_url), tenant, [customer])
    with connect(settings, "builder") as connection:
        store = CustomerInvoices(connection, "billing", tenant, (customer,), then)
        terms = CustomerTerms.of(after.facts(), [customer], then)
        before = None if events is None else CustomerTerms.of(log.facts(), [customer])
        found = upcoming_invoices(store, usage, terms, moment, last, before)
    if as_json:
        show_json(found.document())
    else:
        _show_upcoming(found)


def _show_upcoming(found: UpcomingInvoices) -> None:
    out = console()
    for invoice in found.invoices:
        period = f"{invoice['period']['from'][:10]} to {invoice['period']['to'][:10]}"
        out.print(sentence(f"{invoice['subscription'] or found.customer}, {period}", "bold"))
        rows = [(one["description"], number(one["quantity"]) or "", number(one["amount"])) for one in invoice["lines"]]
        rows.append(("due", "", money(invoice["amount_due"], invoice["currency"])))
        out.print(table(("", "quantity", "amount"), rows, right=("quantity", "amount")))
    if not found.invoices:
        out.print(f"nothing closes by {found.until}; --until looks further ahead", markup=False)
    for row in found.changes or ():
        if row["line"] is None:
            text = f"{row['first_day']}..{row['last_day']}: {row['before']} becomes {row['after']} {row['currency']}"
            out.print(text, markup=False)
    for one in found.held:
        out.print(f"held back: {one}", style="red", markup=False)


@_invoices.command("pdf")
def pdf(
    number: _NUMBER,
    credit_note: Annotated[
        str | None, typer.Option("--credit-note", help="This credit note for it instead, as `invoices show` names it.")
    ] = None,
    known_at: _KNOWN_AT = None,
    out: _OUT = None,
    as_json: AsJson = False,
) -> None:
    """Write an invoice as a PDF, with the names and addresses that tenant and customer state.

    Where both have a country it is Factur-X (ZUGFeRD): systems read the electronic invoice inside of it.

    [dim]valueverse invoices pdf acme-000001 --out invoice.pdf[/dim]

    [dim]valueverse invoices pdf acme-000001 --credit-note crm#7 --out credit.pdf[/dim]
    """
    from valueverse.platform.settings import get_settings

    found, fonts = _find(number, known_at), get_settings().fonts
    with warnings_shown():
        body = found.pdf(fonts) if credit_note is None else found.credit_note_pdf(credit_note, fonts)
    _write(body, out or Path(f"{number}{'' if credit_note is None else '-credit-note'}.pdf"), as_json=as_json)


@_invoices.command("xml")
def xml(
    number: _NUMBER,
    form: _SYNTAX = "ubl",
    known_at: _KNOWN_AT = None,
    out: _OUT = None,
    as_json: AsJson = False,
) -> None:
    """Write an invoice as an electronic one (EN 16931). Tenant and customer need a country each.

    The PDF of `invoices pdf` has the same invoice inside, in CII: it is Factur-X (ZUGFeRD).

    [dim]valueverse invoices xml acme-000001 --format cii --out factur-x.xml[/dim]
    """
    from valueverse.invoicing.rendering import known_syntax

    syntax = known_syntax(form)
    _write(_find(number, known_at).xml(syntax), out or Path(f"{number}.xml"), as_json=as_json)


def _find(number: str, known_at: str | None) -> StoredInvoice:
    from valueverse.platform.settings import get_settings
    from valueverse.platform.warehouse import connect
    from valueverse.services.billing.invoices import find_invoice

    then = _instant(known_at)
    with connect(get_settings(), "builder") as connection:
        return find_invoice(connection, number, then)


def _instant(known_at: str | None) -> datetime | None:
    from valueverse.services.instants import read_instant

    return None if known_at is None else read_instant(known_at, "UTC", "--known-at")


def _write(body: bytes, path: Path, *, as_json: bool) -> None:
    path.write_bytes(body)
    wrote(path, as_json=as_json)
