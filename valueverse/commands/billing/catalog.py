"""``valueverse catalog check | diff | publish``: what a tenant sells, before and when it is published."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from valueverse.commands.output import AsJson, console, show_json

_catalog = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Catalogs: check one, compare two, publish one."
)
_FILE = typer.Argument(help="A catalog in YAML or JSON.")


def register(app: typer.Typer) -> None:
    """Add ``catalog`` to the command line."""
    app.add_typer(_catalog, name="catalog")


@_catalog.command("check")
def check(file: Annotated[Path, _FILE], as_json: AsJson = False) -> None:
    """Check a catalog: list its problems with line and column, or what it sells.

    Exit 0: nothing is wrong. Exit 1: problems, each with file:line:column and the place in the text.

    [dim]valueverse catalog check catalog.yaml[/dim]
    """
    from valueverse.documents import Problem, problems_text
    from valueverse.services.catalogs.check_catalog import check_catalog, read_catalog_text

    text = read_catalog_text(file)
    answer = check_catalog(text)
    if as_json:
        show_json(answer)
    elif answer["ok"]:
        typer.echo(_summary(answer))
    else:
        typer.echo(problems_text([Problem(**one) for one in answer["problems"]], text, str(file)))
    raise typer.Exit(0 if answer["ok"] else 1)


def _summary(answer: dict[str, Any]) -> str:
    lines = [f"a catalog in {answer['currency']}, days in {answer['timezone']}, without problems"]
    lines += [f"{name}: {', '.join(answer[name])}" for name in ("meters", "coupons", "taxes") if answer[name]]
    for plan in answer["plans"]:
        parts = [f"{name} {', '.join(plan[name])}" for name in ("fees", "charges") if plan[name]]
        lines.append(f"plan {plan['key']}, version {plan['version']}: {'; '.join(parts) or 'nothing'}")
    return "\n".join([*lines, f"hash: {answer['hash']}"])


@_catalog.command("diff")
def diff(
    before: Annotated[Path, typer.Argument(help="The catalog as it was.")],
    after: Annotated[Path, typer.Argument(help="The catalog as it would be.")],
    as_json: AsJson = False,
) -> None:
    """Show what was added, removed and changed from one catalog to another, plan by plan and charge by charge.

    What it means in money: valueverse simulate --compare.

    [dim]valueverse catalog diff catalog.yaml dearer.yaml[/dim]
    """
    from valueverse.documents import tree_changes
    from valueverse.services.catalogs.check_catalog import comparable
    from valueverse.services.simulation.simulate import read_catalog

    changes = tree_changes(comparable(read_catalog(before, "BEFORE")), comparable(read_catalog(after, "AFTER")))
    if as_json:
        show_json({"changes": [one.as_json() for one in changes]})
    else:
        _show(changes)


def _show(changes: list[Any]) -> None:
    from rich.markup import escape

    out = console(soft_wrap=True)
    styles = {"added": ("green", "+"), "removed": ("red", "-"), "changed": ("yellow", "~")}
    for one in changes:
        style, sign = styles[one.kind]
        sides = [json.dumps(side, ensure_ascii=False) for side in (one.before, one.after) if side is not None]
        out.print(f"[{style}]{sign}[/{style}] {escape(one.path)}: {escape(' -> '.join(sides))}")
    if not changes:
        out.print("the catalogs say the same")


@_catalog.command("publish")
def publish(
    file: Annotated[Path, _FILE],
    tenant: Annotated[str, typer.Option("--tenant", help="Who sells by it.")],
    effective: Annotated[
        str | None, typer.Option("--effective", help="From when on: an instant, or a date in UTC; now by default.")
    ] = None,
    new_tenant: Annotated[
        bool, typer.Option("--new-tenant", help="The tenant may be new: its first catalog brings it into being.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Publish a catalog: the next ingestion takes it. The same catalog from the same instant on is published once.

    A tenant that nobody has created is refused, unless it is the project's own (valueverse.yaml) or --new-tenant.

    Invoices that are final keep their prices: valueverse rerate plan shows and books what would differ.

    [dim]valueverse catalog publish catalog.yaml --tenant acme --effective 2024-02-01[/dim]
    """
    from valueverse.commands.billing.customers import waiting_of
    from valueverse.dates import utc_text
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import get_settings
    from valueverse.services.catalogs.publish_catalog import publish_catalog
    from valueverse.services.instants import read_instant
    from valueverse.services.simulation.simulate import read_catalog

    moment = read_instant(effective, "UTC", "--effective") if effective else datetime.now(UTC).replace(microsecond=0)
    settings = get_settings()
    catalog, may_be_new = read_catalog(file, "FILE"), new_tenant or tenant == settings.tenant
    lake, requests = Lake(settings.lake_url), waiting_of(tenant)
    path, written = publish_catalog(
        lake, settings.landing, tenant, catalog, moment, new_tenant=may_be_new, requests=requests
    )
    if as_json:
        show_json({"tenant": tenant, "effective": utc_text(moment), "file": str(path), "delivered": written})
        return
    state = "waits in" if written else "was delivered before:"
    typer.echo(f"the catalog of {tenant} from {moment:%Y-%m-%d %H:%M:%S} UTC on {state} {path}", err=True)
