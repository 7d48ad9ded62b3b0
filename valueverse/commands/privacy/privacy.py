"""``valueverse privacy``: data about people, and the keys that seal it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from valueverse.commands.output import (
    AsJson,
    console,
    for_people,
    sentence,
    show_answer,
    show_json,
    show_list,
    show_table,
    write_bytes,
)
from valueverse.commands.privacy import instruments

_Tenant = Annotated[str, typer.Option("--tenant", help="Whose data.")]
_Customer = Annotated[str, typer.Option("--customer", help="About whom.")]

_EXPORT = """Write everything that is stored about a customer to a ZIP file, with a manifest of hashes.

[dim]valueverse privacy export --tenant acme --customer c1 --out c1.zip[/dim]"""

_RESTRICT = """Put data of a customer on hold: while it is, nothing of it is erased. Lists and exports say so.

[dim]valueverse privacy restrict --tenant acme --customer c1 --reason "dispute 2024-17"[/dim]"""

_RELEASE = """End the hold on data of a customer.

[dim]valueverse privacy release --tenant acme --customer c1[/dim]"""

_RESTRICTIONS = """List whose data is on hold, why and since when.

[dim]valueverse privacy restrictions --tenant acme[/dim]"""

_ERASE = """Erase what is personal of a customer from lake, warehouse, marts and deliveries.

Their data keys are destroyed. Amounts, invoices with their numbers and hashes, bookings and the audit log stay. Who was
billed is retained, sealed, for ten years after the newest invoice. Refused while the data is on hold.

[dim]valueverse privacy erase --tenant acme --customer c1[/dim]"""

_END_RETENTION = """Remove what was retained of erased customers for their invoices, where its time is over.

The Dagster job `end_retention_job` does this every day.

[dim]valueverse privacy end-retention[/dim]"""

_ROTATE_WRAPPING_KEY = """Make a new wrapping key and wrap every data key by it; no sealed value changes.

The wrapping key is that of the server VALUEVERSE_VAULT_URL, else a file in the folder of secrets. --retire destroys the
ones before: what backups of the database hold of data keys is unreadable then. Exit 1: a data key does not unwrap.

[dim]valueverse privacy rotate-wrapping-key --retire[/dim]"""

_ROTATE_DATA_KEYS = """Make new data keys for a tenant and each of its customers that has one.

Payment instruments are sealed by them at once, and all that is sealed from now on.

[dim]valueverse privacy rotate-data-keys --tenant acme[/dim]"""


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        help="Data about people, and the keys that seal it.", no_args_is_help=True, rich_markup_mode="rich"
    )
    group.command("export", help=_EXPORT)(_export)
    group.command("restrict", help=_RESTRICT)(_restrict)
    group.command("release", help=_RELEASE)(_release)
    group.command("restrictions", help=_RESTRICTIONS)(_restrictions)
    group.command("erase", help=_ERASE)(_erase)
    group.command("end-retention", help=_END_RETENTION)(_end_retention)
    instruments.register(group)
    group.command("rotate-wrapping-key", help=_ROTATE_WRAPPING_KEY)(_rotate_wrapping_key)
    group.command("rotate-data-keys", help=_ROTATE_DATA_KEYS)(_rotate_data_keys)
    app.add_typer(group, name="privacy")


def _export(
    tenant: _Tenant,
    customer: _Customer,
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.privacy.export_subject import export_subject

    done = export_subject(get_settings(), tenant, customer, datetime.now(UTC))
    write_bytes(out, done.archive)
    if for_people(as_json=as_json):
        rows = [(part["name"], part["rows"]) for part in done.manifest["parts"]]
        show_table(("part", "rows"), rows, right=("rows",))
        console(soft_wrap=True).print(sentence(f"wrote {out}; the audit log has the hash of its manifest"))
    else:
        show_json({"file": str(out), "digest": done.digest, **done.manifest})


def _restrict(
    tenant: _Tenant,
    customer: _Customer,
    reason: Annotated[str, typer.Option("--reason", help="Why, such as the file number of a dispute.")],
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.privacy.restrict_subject import restrict_subject

    new = restrict_subject(get_settings(), tenant, customer, reason)
    text = f"data of {customer} is on hold" if new else f"data of {customer} was on hold already; nothing was changed"
    show_answer({"tenant": tenant, "customer": customer, "new": new}, text, as_json=as_json)


def _release(tenant: _Tenant, customer: _Customer, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.privacy.restrict_subject import release_subject

    release_subject(get_settings(), tenant, customer)
    show_answer({"tenant": tenant, "customer": customer}, f"data of {customer} is released", as_json=as_json)


def _restrictions(tenant: _Tenant, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.privacy.restrict_subject import restricted_subjects

    rows = restricted_subjects(get_settings(), tenant)
    shown = [row | {"since": f"{row['since']:%Y-%m-%d}"} for row in rows]
    show_list(("customer", "since", "reason"), shown, as_json=not for_people(as_json=as_json))


def _erase(tenant: _Tenant, customer: _Customer, as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.privacy.erase_subject import erase_subject

    done = erase_subject(get_settings(), tenant, customer, datetime.now(UTC))
    if for_people(as_json=as_json):
        show_table(("table", "rows"), sorted(done.rows.items()), right=("rows",))
        out = console(soft_wrap=True)
        out.print(sentence(f"what was personal of {customer} is erased; {done.keys} data keys are destroyed"))
        if done.deliveries:
            out.print(sentence(f"removed from the landing folder: {', '.join(done.deliveries)}"))
        if done.retain_until:
            out.print(sentence(f"who was billed is retained, sealed, until {done.retain_until}"))
    else:
        show_json({
            "tenant": tenant, "customer": customer, "rows": done.rows, "keys": done.keys,
            "deliveries": done.deliveries, "retain_until": done.retain_until, "digest": done.digest,
        })  # fmt: skip


def _end_retention(as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.privacy.restrict_subject import end_retention

    rows = end_retention(get_settings(), datetime.now(UTC).date())
    columns = ("tenant", "customer", "retain_until")
    show_list(columns, rows, as_json=not for_people(as_json=as_json))


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
