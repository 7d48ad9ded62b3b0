"""``valueverse privacy``: data about people, and the keys that seal it."""

from __future__ import annotations

from typing import Annotated

import typer

from valueverse.commands.output import AsJson, console, for_people, sentence, show_answer, show_json, show_table

_Tenant = Annotated[str, typer.Option("--tenant", help="Whose data.")]

_ROTATE_WRAPPING_KEY = """Make a new wrapping key and wrap every data key by it; no sealed value changes.

The wrapping key is that of the server VALUEVERSE_VAULT_URL, else a file in the folder of secrets. --retire destroys the
ones before: what backups of the database hold of data keys is unreadable then. Exit 1: a data key does not unwrap.

[dim]valueverse privacy rotate-wrapping-key --retire[/dim]"""

_ROTATE_DATA_KEYS = """Make new data keys for a tenant and each of its customers that has one.

They seal from now on; what was sealed before opens by the keys before.

[dim]valueverse privacy rotate-data-keys --tenant acme[/dim]"""


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        help="Data about people, and the keys that seal it.", no_args_is_help=True, rich_markup_mode="rich"
    )
    group.command("rotate-wrapping-key", help=_ROTATE_WRAPPING_KEY)(_rotate_wrapping_key)
    group.command("rotate-data-keys", help=_ROTATE_DATA_KEYS)(_rotate_data_keys)
    app.add_typer(group, name="privacy")


def _rotate_wrapping_key(
    retire: Annotated[bool, typer.Option("--retire", help="Destroy the wrapping keys before.")] = False,
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.privacy.rotate_keys import rotate_wrapping_key

    done = rotate_wrapping_key(get_settings(), retire=retire)
    unreadable = [dict(zip(("tenant", "subject", "version"), one, strict=True)) for one in done.unreadable]
    if for_people(as_json=as_json):
        out = console(soft_wrap=True)
        out.print(sentence(f"{sum(done.keys.values()):,} data keys are wrapped by a new wrapping key"))
        if done.retired:
            out.print(sentence("the wrapping keys before are destroyed"))
        if unreadable:
            out.print(sentence("these data keys do not unwrap, and no wrapping key was destroyed:", "red"))
            show_table(("tenant", "subject", "version"), done.unreadable, right=("version",))
    else:
        show_json({"keys": done.keys, "retired": done.retired, "unreadable": unreadable})
    if unreadable:
        raise typer.Exit(1)


def _rotate_data_keys(tenant: _Tenant, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.privacy.rotate_keys import rotate_data_keys

    subjects = rotate_data_keys(get_settings(), tenant)
    text = f"{len(subjects):,} data keys of {tenant} have a new version"
    show_answer({"tenant": tenant, "subjects": subjects}, text, as_json=as_json)
