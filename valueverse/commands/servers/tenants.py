"""``valueverse tenants add | list | key | revoke | rotate``: businesses on the platform and their keys."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.output import AsJson, show_json, show_list
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from pathlib import Path

    import psycopg

    from valueverse.platform.settings import Settings

_Key = Annotated[str, typer.Argument(metavar="KEY", help="Tenant key: a-z, 0-9, '_', '.', '-', at most 63.")]

_ADD = """Bring a tenant into being and print its first API key, this once.

Writes a billing.tenant.created event into the landing folder; the next ingestion takes it.

[dim]valueverse tenants add zenith --name "Zenith AG" --timezone Europe/Berlin --currency EUR[/dim]"""

_NEW_KEY = """Make another API key for a tenant and print it, this once.

[dim]valueverse tenants key acme --scopes billing:read --name dashboard[/dim]"""

_REVOKE = """Revoke the API key with this prefix; its sessions cannot be refreshed any more.

[dim]valueverse tenants revoke k3x9q2m4ab7c[/dim]"""

_LIST = """Tenants and their keys; never a secret.

[dim]valueverse tenants list[/dim]"""

_ROTATE = """Sign new access tokens with a new key; the old one verifies for an hour.

[dim]valueverse tenants rotate[/dim]"""


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(help="Tenants and their API keys.", no_args_is_help=True, rich_markup_mode="rich")
    group.command("add", help=_ADD)(_add)
    group.command("list", help=_LIST)(_list)
    group.command("key", help=_NEW_KEY)(_new_key)
    group.command("revoke", help=_REVOKE)(_revoke)
    group.command("rotate", help=_ROTATE)(_rotate)
    app.add_typer(group, name="tenants")


def _add(
    key: _Key,
    name: Annotated[str, typer.Option("--name", help="Name people know it by.")],
    timezone: Annotated[str, typer.Option("--timezone", help="IANA time zone, e.g. Europe/Berlin.")] = "UTC",
    currency: Annotated[str, typer.Option("--currency", help="ISO 4217 code, e.g. EUR.")] = "USD",
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.access.api_keys import issue_api_key
    from valueverse.platform.settings import get_settings
    from valueverse.platform.warehouse import connect
    from valueverse.services.ingestion.deliver import deliver

    event = tenant_created(key, name, timezone, currency, datetime.now(UTC))
    settings = get_settings()
    path = _event_file(settings, key)
    with connect(settings, "builder") as connection:
        if path.exists() or _known(connection, key):
            raise RefusalError(
                "tenant_exists",
                f"there is a tenant {key!r}; `valueverse tenants key {key}` makes it another API key",
                "KEY",
            )
        secret = issue_api_key(connection, key, name="first")
        # Last before the commit: a key without its tenant is harmless, an event that cannot be taken back is
        # not.
        deliver(settings.landing, key, path.name, [event])
    if as_json:
        show_json({"tenant": key, "file": str(path), "key": secret})
    else:
        typer.echo(f"tenant {key} waits in {path}", err=True)
        _show(secret)


def tenant_created(key: str, name: str, timezone: str, currency: str, time: datetime) -> dict[str, Any]:
    """The CloudEvent that brings a tenant into being (contracts.md, section 2).

    Raises:
        RefusalError: ``bad_tenant``, ``bad_name``, ``bad_timezone``, ``unknown_currency``.
    """
    from valueverse.dates import utc_text
    from valueverse.money import minor_units
    from valueverse.platform.settings import TENANT_KEY

    if not TENANT_KEY.fullmatch(key):
        raise RefusalError("bad_tenant", f"{key!r} is not a tenant key: a-z, 0-9, '_', '.', '-', at most 63", "KEY")
    if not name.strip():
        raise RefusalError("bad_name", "a tenant needs a name that people know it by", "--name")
    try:
        zoneinfo.ZoneInfo(timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise RefusalError(
            "bad_timezone", f"{timezone!r} is no IANA time zone such as 'Europe/Berlin'", "--timezone"
        ) from error
    minor_units(currency)
    return {
        "specversion": "1.0",
        "id": f"tenant-created/{key}",
        "source": "valueverse/tenants",
        "type": "billing.tenant.created",
        "time": utc_text(time),
        "tenant": key,
        "data": {"tenant": key, "name": name, "timezone": timezone, "currency": currency},
    }


def _new_key(
    key: _Key,
    scopes: Annotated[
        str | None,
        typer.Option("--scopes", help="Comma-separated, e.g. billing:read,events:write (the default)."),
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="What the key is for.")] = None,
    as_json: AsJson = False,
) -> None:
    from valueverse.events import refuse_payment_number
    from valueverse.platform.access.api_keys import DEFAULT_SCOPES, issue_api_key
    from valueverse.platform.settings import get_settings
    from valueverse.platform.warehouse import connect

    settings = get_settings()
    refuse_payment_number(name or "", "--name")
    wanted = DEFAULT_SCOPES if scopes is None else tuple(filter(None, (one.strip() for one in scopes.split(","))))
    with connect(settings, "builder") as connection:
        if not (_known(connection, key) or _event_file(settings, key).exists()):
            raise RefusalError(
                "unknown_tenant", f"there is no tenant {key!r}; `valueverse tenants add` makes one", "KEY"
            )
        secret = issue_api_key(connection, key, wanted, name)
    if as_json:
        show_json({"tenant": key, "key": secret})
    else:
        _show(secret)


def _revoke(
    prefix: Annotated[str, typer.Argument(metavar="PREFIX", help="As `tenants list` shows it.")],
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.access.api_keys import revoke_api_key
    from valueverse.platform.settings import get_settings
    from valueverse.platform.warehouse import connect

    with connect(get_settings(), "builder") as connection:
        tenant = revoke_api_key(connection, prefix)
    show_json({"tenant": tenant, "revoked": prefix}) if as_json else typer.echo(f"revoked a key of {tenant}")


def _list(as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.platform.stores.tenant_store import tenants_with_keys
    from valueverse.platform.warehouse import connect

    with connect(get_settings(), "builder") as connection:
        rows = tenants_with_keys(connection)
    names = ["tenant", "name", "timezone", "currency", "key", "state", "scopes", "purpose"]
    show_list(names, rows, as_json=as_json, empty="no tenants; `valueverse tenants add` makes one")


def _rotate(as_json: AsJson = False) -> None:
    from valueverse.platform.access.signing_keys import KeyRing
    from valueverse.platform.settings import get_settings

    signing = KeyRing(get_settings().home / "keys").rotate()
    show_json({"signing_key": signing}) if as_json else typer.echo(f"signing with {signing}")


def _event_file(settings: Settings, key: str) -> Path:
    return settings.landing / key / "tenant-created.ndjson"


def _known(connection: psycopg.Connection[Any], key: str) -> bool:
    from valueverse.platform.queries import value_of

    known = value_of(
        connection,
        "select exists (select from billing.tenant where tenant_id = %(key)s) "
        "or exists (select from auth.api_key where tenant_id = %(key)s)",
        {"key": key},
    )
    return bool(known)


def _show(secret: str) -> None:
    # The key alone on standard output, so that it can be piped into a secret store.
    typer.echo("API key (shown this once):", err=True)
    typer.echo(secret)
