"""``valueverse identity-provider set | show | remove``: by which people of a tenant sign in (OpenID Connect)."""

from __future__ import annotations

from typing import Annotated

import typer

from valueverse.commands.output import AsJson, show_json

_Tenant = Annotated[str, typer.Option("--tenant", help="Whose people sign in by it.")]

_SET = """Let people of a tenant sign in by a provider, once it has answered.

Register the address that this prints with the provider first: the callback. The secret is read from a file, or with `-`
from standard input, and stored sealed.

[dim]valueverse identity-provider set --tenant acme --issuer https://login.example.com --client-id valueverse \
--secret-file secret.txt[/dim]"""

_SHOW = """By which provider people of a tenant sign in; never its secret.

[dim]valueverse identity-provider show --tenant acme[/dim]"""

_REMOVE = """Let nobody of a tenant sign in by a provider any more; passwords go on.

[dim]valueverse identity-provider remove --tenant acme[/dim]"""


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        help="By which provider people of a tenant sign in.", no_args_is_help=True, rich_markup_mode="rich"
    )
    group.command("set", help=_SET)(_set)
    group.command("show", help=_SHOW)(_show)
    group.command("remove", help=_REMOVE)(_remove)
    app.add_typer(group, name="identity-provider")


def _set(
    tenant: _Tenant,
    issuer: Annotated[str, typer.Option("--issuer", help="Letter for letter as the provider calls itself.")],
    client_id: Annotated[str, typer.Option("--client-id", help="What the provider calls us.")],
    secret_file: Annotated[typer.FileText, typer.Option("--secret-file", help="Has the client secret; -: stdin.")],
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.people.identity_providers import set_provider
    from valueverse.services.people.provider import Provider

    done = set_provider(get_settings(), Provider(tenant, issuer, client_id, secret_file.read().strip()))
    if as_json:
        show_json(done)
        return
    typer.echo(f"{tenant} signs in by {issuer}; the provider sends people back to", err=True)
    typer.echo(done["redirect_uri"])


def _show(tenant: _Tenant, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.people.identity_providers import show_provider

    found = show_provider(get_settings(), tenant)
    if as_json:
        show_json(found)
        return
    if found is None:
        typer.echo(f"{tenant} signs in by no provider; `valueverse identity-provider set` gives it one")
        return
    for name in ("issuer", "client_id", "redirect_uri", "changed_at"):
        typer.echo(f"{name}: {found[name]}")


def _remove(tenant: _Tenant, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.people.identity_providers import remove_provider

    remove_provider(get_settings(), tenant)
    show_json({"tenant": tenant, "removed": True}) if as_json else typer.echo(f"{tenant} signs in by no provider")
