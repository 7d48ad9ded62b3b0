"""``valueverse customers add | list``: whom a tenant invoices."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.output import AsJson, show_json, show_list

if TYPE_CHECKING:
    from valueverse.services.subscriptions.account_events import PlannedEvent

_customers = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Customers: create and list them.")
Tenant = Annotated[str, typer.Option("--tenant", help="The tenant that invoices.")]
SomeTenant = Annotated[str | None, typer.Option("--tenant", help="Only this tenant's; also what waits for ingestion.")]
On = Annotated[
    str | None,
    typer.Option("--on", help="From when on: a local date or an instant; the beginning of today by default."),
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Show at most so many.")]


def register(app: typer.Typer) -> None:
    """Add ``customers`` to the command line."""
    app.add_typer(_customers, name="customers")


@_customers.command("add")
def add(  # noqa: PLR0913, PLR0917 - the options of the public contract
    key: Annotated[str, typer.Argument(metavar="KEY", help="Key of the customer: printable text without /.")],
    tenant: Tenant,
    name: Annotated[str | None, typer.Option("--name", help="Name on invoices; the key by default.")] = None,
    email: Annotated[str | None, typer.Option("--email", help="Where invoices would be sent.")] = None,
    country: Annotated[str | None, typer.Option("--country", help="ISO 3166-1 code, e.g. DE.")] = None,
    currency: Annotated[str | None, typer.Option("--currency", help="ISO 4217 code; the plan's by default.")] = None,
    timezone: Annotated[str | None, typer.Option("--timezone", help="IANA zone; the tenant's by default.")] = None,
    tax_id: Annotated[str | None, typer.Option("--tax-id", help="VAT identifier.")] = None,
    street: Annotated[str | None, typer.Option("--street", help="Street and number.")] = None,
    postal_code: Annotated[str | None, typer.Option("--postal-code", help="Postal code.")] = None,
    city: Annotated[str | None, typer.Option("--city", help="City.")] = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Create a customer by a billing.customer.created event in the landing folder; the next ingestion takes it.

    The same customer again changes nothing.

    [dim]valueverse customers add zenith --tenant acme --name "Zenith AG" --country DE[/dim]
    """
    from valueverse.services.subscriptions.account_events import create_customer

    address = {"street": street, "postal_code": postal_code, "city": city}
    stated = {part: value for part, value in address.items() if value is not None}
    metadata = ({"tax_id": tax_id} if tax_id else {}) | ({"address": stated} if stated else {})
    fields = {"name": name, "email": email, "country": country, "currency": currency, "timezone": timezone}
    account = account_of(tenant)
    planned = create_customer(account, key, on=on, fields=fields, metadata=metadata)
    deliver(planned, f"customer {key}", as_json=as_json)


@_customers.command("list")
def list_command(tenant: SomeTenant = None, limit: Limit = 100, as_json: AsJson = False) -> None:
    """List customers and how many active subscriptions each has. With --json one object per line.

    [dim]valueverse customers list --tenant acme[/dim]
    """
    from valueverse.platform.settings import get_settings
    from valueverse.platform.warehouse import connect
    from valueverse.services.subscriptions.listing import list_customers

    with connect(get_settings(), "builder") as connection:
        rows = list_customers(connection, tenant, log_of(tenant), limit)
    show_list(
        ["tenant", "customer", "name", "country", "currency", "subscriptions", "status"],
        rows,
        as_json=as_json,
        right=["subscriptions"],
        empty="no customers; `valueverse customers add` creates one",
    )


def account_of(tenant: str) -> Any:
    """What is known of a tenant now."""
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import get_settings
    from valueverse.services.subscriptions.account_events import read_account

    settings, requests = get_settings(), waiting_of(tenant)
    return read_account(Lake(settings.lake_url), settings.landing, tenant, datetime.now(UTC), requests)


def log_of(tenant: str | None) -> Any:
    """The billing events of a tenant; None: of nobody."""
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import get_settings
    from valueverse.services.subscriptions.billing_log import read_log

    if not tenant:
        return None
    settings, requests = get_settings(), waiting_of(tenant)
    return read_log(Lake(settings.lake_url), settings.landing, tenant, datetime.now(UTC), requests)


def waiting_of(tenant: str) -> Any:
    """What waits in the inbox of a tenant; nothing, and a warning, while PostgreSQL does not answer."""
    from valueverse.errors import RefusalError
    from valueverse.platform.settings import get_settings
    from valueverse.services.subscriptions.billing_log import waiting_requests

    try:
        return waiting_requests(get_settings(), tenant)
    except RefusalError as refusal:
        typer.echo(f"judged without what waits in the inbox: {refusal.message}", err=True)
        return []


def deliver(planned: PlannedEvent, what: str, *, as_json: bool, preview: Any = None) -> None:
    """Write the event and say where it waits, or that it was delivered before."""
    from valueverse.platform.settings import get_settings

    path, written = planned.deliver(get_settings())
    if as_json:
        show_json({"event": planned.event, "file": str(path), "delivered": written, "preview": preview})
    else:
        effective = planned.event["time"]
        state = f"waits in {path}; the next ingestion takes it" if written else "was delivered before"
        typer.echo(f"{what} from {effective} on {state}", err=True)
