"""``valueverse subscriptions start | change | end | list``: who is on which plan, and what an event would bill."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.billing.customers import Limit, On, SomeTenant, Tenant, account_of, deliver, log_of
from valueverse.commands.billing.window import read_day
from valueverse.commands.output import AsJson, console, show_json, show_list, show_table
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from valueverse.services.subscriptions.account_events import PlannedEvent
    from valueverse.services.subscriptions.preview import Preview

_subscriptions = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Subscriptions: start, change, end and list them."
)
_KEY = Annotated[str, typer.Argument(metavar="KEY", help="Key of the subscription.")]
_QUANTITY = Annotated[
    list[str] | None, typer.Option("--quantity", help="FEE=NUMBER of a fee with a unit_amount; may be given again.")
]
_VERSION = Annotated[int | None, typer.Option("--plan-version", help="Version of the plan; the newest by default.")]
_PREVIEW = Annotated[bool, typer.Option("--preview", help="Show what would be billed, and deliver nothing.")]
_UNTIL = Annotated[
    str | None, typer.Option("--until", help="Preview invoices that close up to this date; two months by default.")
]
_YES = Annotated[bool, typer.Option("--yes", "-y", help="Deliver without a preview and without asking.")]


def register(app: typer.Typer) -> None:
    """Add ``subscriptions`` to the command line."""
    app.add_typer(_subscriptions, name="subscriptions")


@_subscriptions.command("start")
def start(  # noqa: PLR0913, PLR0917 - the options of the public contract
    key: _KEY,
    tenant: Tenant,
    customer: Annotated[str, typer.Option("--customer", help="Who is billed.")],
    plan: Annotated[str, typer.Option("--plan", help="Key of a plan in the tenant's catalog.")],
    version: _VERSION = None,
    quantity: _QUANTITY = None,
    on: On = None,
    ends: Annotated[str | None, typer.Option("--ends", help="When it ends: a local date or an instant.")] = None,
    anchor: Annotated[str | None, typer.Option("--anchor", help="Date that sets the phase of its periods.")] = None,
    timezone: Annotated[str | None, typer.Option("--timezone", help="IANA zone; the customer's by default.")] = None,
    preview: _PREVIEW = False,
    until: _UNTIL = None,
    yes: _YES = False,
    as_json: AsJson = False,
) -> None:
    """Start a subscription. At a terminal its effect on the next invoices is shown before it is delivered.

    [dim]valueverse subscriptions start s2 --tenant acme --customer c1 --plan pro --on 2024-02-01 --preview[/dim]
    """
    from valueverse.services.subscriptions.account_events import start_subscription
    from valueverse.services.subscriptions.event_names import read_quantities

    fields = {
        "customer": customer, "plan": plan, "plan_version": version, "anchor_date": anchor, "timezone": timezone,
        "ends_at": ends, "quantities": read_quantities(quantity or []),
    }  # fmt: skip
    planned = start_subscription(account_of(tenant), key, on=on, fields=fields)
    _finish(planned, f"subscription {key} of {customer} to {plan}", preview, until, yes=yes, as_json=as_json)


@_subscriptions.command("change")
def change(  # noqa: PLR0913, PLR0917 - the options of the public contract
    key: _KEY,
    tenant: Tenant,
    plan: Annotated[str | None, typer.Option("--plan", help="Another plan; the same by default.")] = None,
    version: _VERSION = None,
    quantity: _QUANTITY = None,
    on: On = None,
    at_period_end: Annotated[
        bool, typer.Option("--at-period-end", help="With the next period, instead of prorated from --on on.")
    ] = False,
    preview: _PREVIEW = False,
    until: _UNTIL = None,
    yes: _YES = False,
    as_json: AsJson = False,
) -> None:
    """Change plan, version or quantities of a subscription, prorated or with the next period.

    A prorated change withdraws of one that is planned with the next period the parts that it states, and no others.

    [dim]valueverse subscriptions change s1 --tenant acme --plan pro --on 2024-01-05 --preview[/dim]
    """
    from valueverse.services.subscriptions.account_events import change_subscription
    from valueverse.services.subscriptions.event_names import read_quantities

    fields = {
        "plan": plan, "plan_version": version, "quantities": read_quantities(quantity or []),
        "effective": "period_end" if at_period_end else None,
    }  # fmt: skip
    planned = change_subscription(account_of(tenant), key, on=on, fields=fields)
    _finish(planned, f"the change of subscription {key}", preview, until, yes=yes, as_json=as_json)


@_subscriptions.command("end")
def end(  # noqa: PLR0917 - the options of the public contract
    key: _KEY,
    tenant: Tenant,
    on: On = None,
    preview: _PREVIEW = False,
    until: _UNTIL = None,
    yes: _YES = False,
    as_json: AsJson = False,
) -> None:
    """End a subscription: its last period closes, what was billed in advance is credited.

    [dim]valueverse subscriptions end s1 --tenant acme --on 2024-02-01 --preview[/dim]
    """
    from valueverse.services.subscriptions.account_events import end_subscription

    planned = end_subscription(account_of(tenant), key, on=on)
    _finish(planned, f"the end of subscription {key}", preview, until, yes=yes, as_json=as_json)


@_subscriptions.command("list")
def list_command(
    tenant: SomeTenant = None,
    customer: Annotated[str | None, typer.Option("--customer", help="Only this customer's.")] = None,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List subscriptions with their plans. With --json one object per line.

    [dim]valueverse subscriptions list --tenant acme --customer c1[/dim]
    """
    from valueverse.platform.settings import get_settings
    from valueverse.platform.warehouse import connect
    from valueverse.services.subscriptions.listing import list_subscriptions

    with connect(get_settings(), "builder") as connection:
        rows = list_subscriptions(connection, tenant, customer, log_of(tenant), limit)
    show_list(
        ["tenant", "customer", "subscription", "plan", "plan version", "status", "started at", "ended at"],
        rows,
        as_json=as_json,
        right=["plan version"],
        empty="no subscriptions; `valueverse subscriptions start` starts one",
    )


def _finish(planned: PlannedEvent, what: str, only: bool, until: str | None, *, yes: bool, as_json: bool) -> None:
    """Show what the event would bill and deliver it: after a question at a terminal, at once elsewhere."""
    import sys

    asks = sys.stdin.isatty() and sys.stdout.isatty() and not (yes or as_json)
    shown = _previewed(planned, until, needed=only) if only or (asks and not planned.known) else None
    if only:
        show_json(shown.document() | {"event": planned.event} if shown else None) if as_json else _show(shown)
        return
    if asks and not planned.known:
        _show(shown)
        typer.confirm(f"deliver {what}?", abort=True, err=True)
    deliver(planned, what, as_json=as_json)


def _previewed(planned: PlannedEvent, until: str | None, *, needed: bool) -> Preview | None:
    """The preview; None where PostgreSQL does not answer and nobody asked for it."""
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import get_settings
    from valueverse.platform.stores.customer_invoices import CustomerInvoices
    from valueverse.platform.warehouse import connect
    from valueverse.services.billing.customer_usage import customer_usage
    from valueverse.services.subscriptions.preview import preview

    settings, last = get_settings(), None if until is None else read_day(until, "--until")
    try:
        with connect(settings, "builder") as connection:
            store = CustomerInvoices(connection, tenant=planned.before.tenant, customers=(planned.customer,))
            usage = customer_usage(Lake(settings.lake_url), store.tenant, store.customers)
            return preview(store, usage, planned, datetime.now(UTC), last)
    except RefusalError as refusal:
        if needed:
            raise
        typer.echo(f"no preview: {refusal.message}", err=True)
        return None


def _show(shown: Preview | None) -> None:
    if shown is None:
        return
    console().print(f"invoices of {shown.customer} that close up to {shown.until} and are not final", markup=False)
    if shown.rows:
        columns = ["period", "subscription", "", "before", "after", "difference"]
        show_table(columns, [_cells(row) for row in shown.rows], right=columns[3:])
    else:
        console().print("none; --until looks further ahead")
    for sentence in shown.held:
        console().print(f"held back: {sentence}", style="red", markup=False)
    console().print("usage that is not received yet is not in it", style="dim")


def _cells(row: dict[str, Any]) -> list[Any]:
    from rich.text import Text

    style = {"-": "red", "0": ""}.get(row["difference"][0], "green") if row["line"] is None else "dim"
    amounts = [Text(row[name], style="dim" if row["line"] else "") for name in ("before", "after")]
    if row["line"] is not None:
        return ["", "", Text(f"  {row['line']}", style="dim"), *amounts, Text(row["difference"], style=style)]
    period = f"{row['first_day']}..{row['last_day']}"
    kind = f"{row['invoice_type']}, {row['currency']}"
    return [period, row["subscription"] or "-", kind, *amounts, Text(row["difference"], style=style)]
