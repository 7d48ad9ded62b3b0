"""``valueverse webhooks``: endpoints that a tenant is notified at, and what was delivered to them."""

from __future__ import annotations

from typing import Annotated

import typer

from valueverse.commands.output import AsJson, show_json, show_list

_Tenant = Annotated[str, typer.Option("--tenant", help="Whose endpoints.")]
_Endpoint = Annotated[str, typer.Argument(metavar="ENDPOINT", help="As `webhooks list` shows it.")]

_ADD = """Add an endpoint and print its secret, this once. Notifications are signed as Standard Webhooks says.

[dim]valueverse webhooks add https://example.com/hooks --tenant acme --type invoice.finalised[/dim]"""

_LIST = """Endpoints of a tenant; never a secret.

[dim]valueverse webhooks list --tenant acme[/dim]"""

_ROTATE = """Give an endpoint a new secret and print it, this once; the one before signs beside it for a day.

[dim]valueverse webhooks rotate we_0123456789abcdef01234567 --tenant acme[/dim]"""

_DISABLE = """Send an endpoint nothing more.

[dim]valueverse webhooks disable we_89abcdef0123456701234567 --tenant acme[/dim]"""

_ENABLE = """Notify a disabled endpoint again, of what happens from now on.

[dim]valueverse webhooks enable we_89abcdef0123456701234567 --tenant acme[/dim]"""

_TEST = """Send an endpoint a notification that is about nothing.

[dim]valueverse webhooks test we_0123456789abcdef01234567 --tenant acme[/dim]"""

_DELIVERIES = """Deliveries, the newest first; --state dead: those that were given up.

[dim]valueverse webhooks deliveries --tenant acme --state dead[/dim]"""

_REPLAY = """Deliver a notification once more, with the id that it had.

[dim]valueverse webhooks replay 48213 --tenant acme[/dim]"""

_REPLAY_ALL = """Deliver all that was given up once more, or what --endpoint, --type, --from and --to leave of it.

[dim]valueverse webhooks replay-all --tenant acme --type invoice.finalised[/dim]"""


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(help="Webhooks of tenants.", no_args_is_help=True, rich_markup_mode="rich")
    group.command("add", help=_ADD)(_add)
    group.command("list", help=_LIST)(_list)
    group.command("rotate", help=_ROTATE)(_rotate)
    group.command("disable", help=_DISABLE)(_disable)
    group.command("enable", help=_ENABLE)(_enable)
    group.command("test", help=_TEST)(_test)
    group.command("deliveries", help=_DELIVERIES)(_deliveries)
    group.command("replay", help=_REPLAY)(_replay)
    group.command("replay-all", help=_REPLAY_ALL)(_replay_all)
    app.add_typer(group, name="webhooks")


def _add(
    url: Annotated[str, typer.Argument(metavar="URL", help="https://...")],
    tenant: _Tenant,
    types: Annotated[
        list[str] | None, typer.Option("--type", help="What to notify of; repeat it. All if none.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.webhooks.endpoints import add_endpoint

    made = add_endpoint(get_settings(), tenant, url, types or [])
    _show_secret(made, f"endpoint {made['endpoint']}", as_json=as_json)


def _list(tenant: _Tenant, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.webhooks.endpoints import list_endpoints

    names = ["endpoint", "url", "types", "created_at", "previous_until", "disabled_at", "disabled_reason"]
    rows = list_endpoints(get_settings(), tenant)
    if not as_json:
        rows = [{**row, "types": ", ".join(row["types"]) or "all"} for row in rows]
    show_list(names, rows, as_json=as_json, empty="no endpoints; `valueverse webhooks add` makes one")


def _rotate(endpoint: _Endpoint, tenant: _Tenant, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.webhooks.endpoints import rotate_secret

    made = rotate_secret(get_settings(), tenant, endpoint)
    _show_secret(made, f"a new secret of {endpoint}", as_json=as_json)


def _disable(endpoint: _Endpoint, tenant: _Tenant, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.webhooks.endpoints import disable_endpoint

    disable_endpoint(get_settings(), tenant, endpoint)
    show_json({"endpoint": endpoint, "disabled": True}) if as_json else typer.echo(f"disabled {endpoint}")


def _enable(endpoint: _Endpoint, tenant: _Tenant, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.webhooks.endpoints import enable_endpoint

    enable_endpoint(get_settings(), tenant, endpoint)
    show_json({"endpoint": endpoint, "disabled": False}) if as_json else typer.echo(f"enabled {endpoint}")


def _test(endpoint: _Endpoint, tenant: _Tenant, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.webhooks.endpoints import send_test

    number = send_test(get_settings(), tenant, endpoint)
    show_json({"endpoint": endpoint, "delivery": number}) if as_json else typer.echo(f"delivery {number} waits")


def _deliveries(
    tenant: _Tenant,
    state: Annotated[str | None, typer.Option("--state", help="waiting, delivered or dead.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.webhooks.deliveries import list_deliveries

    names = [
        "delivery",
        "endpoint",
        "type",
        "message_id",
        "state",
        "attempts",
        "status",
        "reason",
        "created_at",
        "due_at",
    ]
    rows = list_deliveries(get_settings(), tenant, state, limit)
    show_list(names, rows, as_json=as_json, empty="no deliveries")


def _replay(
    delivery: Annotated[int, typer.Argument(metavar="DELIVERY", help="As `webhooks deliveries` shows it.")],
    tenant: _Tenant,
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.webhooks.deliveries import replay_delivery

    found = replay_delivery(get_settings(), tenant, delivery)
    show_json(found) if as_json else typer.echo(f"delivery {delivery} waits")


def _replay_all(
    tenant: _Tenant,
    endpoint: Annotated[str | None, typer.Option("--endpoint", help="To this endpoint.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Of this type.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Written at this date or instant or later.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Written before it.")] = None,
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.instants import read_instant
    from valueverse.services.webhooks.deliveries import Selection, replay_deliveries

    since = from_ and read_instant(from_, "UTC", "--from")
    until = to and read_instant(to, "UTC", "--to")
    number = replay_deliveries(get_settings(), tenant, Selection(endpoint, kind, "dead", since or None, until or None))
    show_json({"replayed": number}) if as_json else typer.echo(f"{number} deliveries wait")


def _show_secret(made: dict[str, str], what: str, *, as_json: bool) -> None:
    if as_json:
        show_json(made)
        return
    # The secret alone on standard output, so that it can be piped into a secret store.
    typer.echo(f"{what}; its secret (shown this once):", err=True)
    typer.echo(made["secret"])
