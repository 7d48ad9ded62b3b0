"""``valueverse users invite | list | disable``: people who sign in to a tenant."""

from __future__ import annotations

from typing import Annotated

import typer

from valueverse.commands.output import AsJson, show_json, show_list

_Tenant = Annotated[str, typer.Option("--tenant", help="Whose people.")]
_Email = Annotated[str, typer.Argument(metavar="EMAIL", help="Address of the person.")]

_INVITE = """Invite a person: the mail has a link, good once within 7 days, to choose a password with.

Without a mail server (VALUEVERSE_SMTP_URL) the mail lies in the folder `mail` of the installation.

[dim]valueverse users invite ada@example.com --tenant acme --role owner[/dim]"""

_LIST = """People of a tenant, and open invitations.

[dim]valueverse users list --tenant acme[/dim]"""

_DISABLE = """Disable a person: sessions of theirs end at once. The last owner stays.

[dim]valueverse users disable bob@example.com --tenant acme[/dim]"""


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(help="People who sign in to a tenant.", no_args_is_help=True, rich_markup_mode="rich")
    group.command("invite", help=_INVITE)(_invite)
    group.command("list", help=_LIST)(_list)
    group.command("disable", help=_DISABLE)(_disable)
    app.add_typer(group, name="users")


def _invite(
    email: _Email,
    tenant: _Tenant,
    role: Annotated[
        str, typer.Option("--role", help="owner, admin, finance, developer, analyst or viewer.")
    ] = "viewer",
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.people.invitations import invite

    made = invite(get_settings(), tenant, email, role)
    if as_json:
        show_json(made)
        return
    where = f"; the mail will be in {made['mail_dir']}" if made["mail_dir"] else ""
    typer.echo(f"{made['email']} is invited as {role} of {tenant}{where}; the link (shown this once):", err=True)
    typer.echo(made["link"])


def _list(tenant: _Tenant, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.people.invitations import list_users

    rows = list_users(get_settings(), tenant)
    empty = "no people; `valueverse users invite` invites the first"
    show_list(["id", "email", "role", "state", "created_at"], rows, as_json=as_json, empty=empty)


def _disable(email: _Email, tenant: _Tenant, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.people.invitations import disable_user

    done = disable_user(get_settings(), tenant, email)
    show_json(done) if as_json else typer.echo(f"disabled {done['email']}")
