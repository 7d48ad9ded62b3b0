"""``valueverse audit list | sign | verify | export | key``: the log of what was done, and proofs that it is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.output import (
    AsJson,
    console,
    for_people,
    sentence,
    show_json,
    show_list,
    show_table,
    write_text,
    wrote,
)
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    from valueverse.audit import Bundle, Finding

_Tenant = Annotated[str, typer.Option("--tenant", help="Whose log.")]

_LIST = """Show the newest entries of a tenant's audit log.

Who did what, when: invoices finalised and voided, files ingested, months released, commits, fees, keys, sign-ins.
Names of people and customers are pseudonyms.

[dim]valueverse audit list --tenant acme --last 20[/dim]"""

_SIGN = """Put what was done since into the logs, and sign a checkpoint for each log that has grown.

The Dagster stage `audit` does this by itself. Checkpoints are in `.valueverse/audit`, or where VALUEVERSE_AUDIT_DIR
says: keep copies where nobody who can write the database can write.

[dim]valueverse audit sign[/dim]"""

_VERIFY = """Check entries, chain, tree and signed checkpoints of an audit log; exit 1 where something does not hold.

With FILE it needs no database: give the public key that you received apart from it by --key, and the newest signed
note that you hold by --checkpoint. Entries that no checkpoint covers are findings there.

[dim]valueverse audit verify --tenant acme --checkpoint note[/dim]
[dim]valueverse audit verify acme-audit.json --key audit-key.pem[/dim]"""

_EXPORT = """Write a tenant's audit log, as far as it is signed, to a file that `audit verify FILE` takes anywhere.

[dim]valueverse audit export --tenant acme --out acme-audit.json[/dim]"""

_KEY = """Write the public key that verifies checkpoints (PEM): give it to whoever will verify.

[dim]valueverse audit key --out audit-key.pem[/dim]"""


def register(app: typer.Typer) -> None:
    """Add the commands to ``app``."""
    group = typer.Typer(
        help="The audit log: what was done, and proofs that it is whole.", no_args_is_help=True, rich_markup_mode="rich"
    )
    group.command("list", help=_LIST)(_list)
    group.command("sign", help=_SIGN)(_sign)
    group.command("verify", help=_VERIFY)(_verify)
    group.command("export", help=_EXPORT)(_export)
    group.command("key", help=_KEY)(_key)
    app.add_typer(group, name="audit")


def _list(
    tenant: _Tenant,
    last: Annotated[int, typer.Option("--last", min=1, help="How many.")] = 20,
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.audit.verify_log import read_log

    bundle = read_log(get_settings(), tenant)
    first = max(0, len(bundle.entries) - last)
    rows = [
        {"sequence": first + place, **_fields(entry)} for place, entry in enumerate(bundle.entries[first:], start=1)
    ]
    columns = ("sequence", "at", "action", "object", "actor")
    show_list(columns, rows, as_json=not for_people(as_json=as_json), right=("sequence",))


def _fields(entry: bytes) -> dict[str, Any]:
    """An entry's fields; of one that is no JSON, its text."""
    try:
        found = json.loads(entry)
    except ValueError:
        found = {}
    empty = {"at": "", "action": "unreadable", "object": entry.decode(errors="replace")[:60], "actor": ""}
    return empty | found if isinstance(found, dict) and found else empty


def _sign(as_json: AsJson = False) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.audit.sign_log import sign_log

    settings = get_settings()
    done = sign_log(settings, whole=True)
    wrong = sorted(set(done.findings["tenant"]))
    if for_people(as_json=as_json):
        out = console(soft_wrap=True)
        out.print(sentence(f"{sum(done.entries.values()):,} entries were put in order"))
        if done.signed:
            show_table(("tenant", "entries signed"), sorted(done.signed.items()), right=("entries signed",))
            out.print(sentence(f"checkpoints are in {settings.audit_dir}"))
        else:
            out.print(sentence("no log has grown since its last checkpoint"))
        for tenant in wrong:
            out.print(sentence(f"the log of {tenant} does not hold and is not signed: valueverse audit verify", "red"))
    else:
        folder = str(settings.audit_dir)
        show_json({"entries": done.entries, "checkpoints": done.signed, "broken": wrong, "folder": folder})
    if wrong:
        raise typer.Exit(1)


def _verify(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="An export; else the database.")] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="One tenant's log; all logs if left out.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Public key (PEM) for FILE.")] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option("--checkpoint", help="A signed note received before: the log must contain its entries."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.audit.verify_log import tenants_with_log, verify_document, verify_log

    if file is None and key is not None:
        raise RefusalError("bad_option", "--key is for a FILE: the installation has its own", "--key")
    if file is None and checkpoint is not None and tenant is None:
        raise RefusalError("bad_option", "--checkpoint is of one log: name a FILE, or a --tenant", "--checkpoint")
    if file is not None:
        results = [_result(*verify_document(file, key, checkpoint))]
    else:
        settings = get_settings()
        logs = [tenant] if tenant else tenants_with_log(settings)
        results = [_result(*verify_log(settings, one, checkpoint)) for one in logs]
    if for_people(as_json=as_json):
        for result in results:
            _show(result)
        if file is not None and key is None:
            console(soft_wrap=True).print(
                sentence("the key came with the file: compare it with one received apart, by --key", "yellow")
            )
        if file is not None and checkpoint is None:
            console(soft_wrap=True).print(
                sentence("whether the log goes on shows with a newer checkpoint, by --checkpoint", "yellow")
            )
    else:
        show_json({"logs": results})
    if any(result["findings"] for result in results):
        raise typer.Exit(1)


def _result(bundle: Bundle, findings: list[Finding], unsigned: int = 0) -> dict[str, Any]:
    wrong = [{"layer": one.layer, "sequence": one.sequence, "reason": one.reason} for one in findings]
    counts = {"entries": len(bundle.entries), "checkpoints": len(bundle.checkpoints), "unsigned": unsigned}
    return {"tenant": bundle.tenant, **counts, "findings": wrong}


def _show(result: dict[str, Any]) -> None:
    holds = "does not hold" if result["findings"] else "holds"
    counts = f"{result['entries']:,} entries, {result['checkpoints']:,} checkpoints"
    if result["unsigned"]:
        counts += f"; {result['unsigned']:,} entries are not signed yet (valueverse audit sign)"
    console(soft_wrap=True).print(
        sentence(f"the audit log of {result['tenant']} {holds}: {counts}", "red" if result["findings"] else "")
    )
    if result["findings"]:
        rows = [(one["layer"], one["sequence"], one["reason"]) for one in result["findings"]]
        show_table(("layer", "sequence", "reason"), rows, right=("sequence",))


def _export(
    tenant: _Tenant,
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.audit.verify_log import export_log

    text = export_log(get_settings(), tenant)
    write_text(out, text)
    if for_people(as_json=as_json):
        wrote(out)
    else:
        show_json({"tenant": tenant, "entries": len(json.loads(text)["entries"]), "file": str(out)})


def _key(
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    as_json: AsJson = False,
) -> None:
    from valueverse.platform.settings import get_settings
    from valueverse.services.audit.checkpoints import public_key

    write_text(out, public_key(get_settings()))
    if for_people(as_json=as_json):
        wrote(out)
    else:
        show_json({"file": str(out)})
