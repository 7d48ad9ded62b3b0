"""``valueverse analysts``: database logins that read the marts of their tenants."""

from __future__ import annotations

from typing import Annotated

import typer

from valueverse.commands.output import AsJson, console, show_json, show_list

_Name = Annotated[str, typer.Argument(help="Name of the analyst; the login is analyst_NAME.")]
_Tenants = Annotated[list[str], typer.Option("--tenant", "-t", help="Tenant key; may be repeated.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        help="People who read the marts in SQL, each bound to tenants.", no_args_is_help=True, rich_markup_mode="rich"
    )
    group.command("add", help=_ADD)(_add)
    group.command("remove", help=_REMOVE)(_remove)
    group.command("list", help=_LIST)(_list)
    app.add_typer(group, name="analysts")


_ADD = """Make a login for an analyst, or give an existing one more tenants. The password is shown once.

The answer holds what psql and BI tools connect with; `valueverse sql --marts --as ada` opens the marts here.

[dim]valueverse analysts add ada --tenant acme[/dim]"""

_REMOVE = """Take tenants away; without --tenant, the login itself.

[dim]valueverse analysts remove ada --tenant acme[/dim]"""

_LIST = """Who reads which tenant.

[dim]valueverse analysts list[/dim]"""


def _add(name: _Name, tenant: _Tenants, as_json: AsJson = False) -> None:
    from valueverse.platform.access import analysts
    from valueverse.platform.settings import get_settings

    settings = get_settings()
    password = analysts.add(settings, name, tenant)
    reads, where = sorted(set(tenant)), analysts.address(settings, name)
    if as_json:
        show_json({**where, "url": analysts.url(settings, name), "password": password, "tenants": reads})
        return
    out = console(soft_wrap=True)
    out.print(f"{where['user']} reads {', '.join(reads)}")
    if password:
        out.print(f"password (shown this once): {password}", markup=False)
    out.print("\nThe password is asked for by")
    out.print(f'  psql "{analysts.url(settings, name)}"', markup=False)
    out.print(f"  valueverse sql --marts --as {name}")
    fields = {"host": where.get("host", ""), "port": where.get("port", "5432"), "database": where["dbname"]}
    fields |= {"user": where["user"], "schema": "marts"}
    if "sslmode" in where:
        fields["sslmode"] = where["sslmode"]
    out.print("BI tools: " + ", ".join(f"{field} {value}" for field, value in fields.items()), markup=False)


def _remove(
    name: _Name, tenant: Annotated[list[str] | None, typer.Option("--tenant", "-t")] = None, as_json: AsJson = False
) -> None:
    from valueverse.platform.access import analysts
    from valueverse.platform.settings import get_settings

    analysts.remove(get_settings(), name, tenant or None)
    if as_json:
        show_json({"user": analysts.role_name(name), "tenants": tenant, "removed": not tenant})
        return
    typer.echo(f"{analysts.role_name(name)} {'no longer reads ' + ', '.join(tenant) if tenant else 'is removed'}")


def _list(as_json: AsJson = False) -> None:
    from valueverse.platform.access import analysts
    from valueverse.platform.settings import get_settings

    rows = [{"analyst": name, "tenant": tenant} for name, tenant in analysts.listed(get_settings())]
    show_list(["analyst", "tenant"], rows, as_json=as_json, empty="no analysts; `valueverse analysts add` makes one")
