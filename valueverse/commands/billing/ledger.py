"""``valueverse ledger``: the journal as a file for other programs, and whether its rules hold."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from valueverse.commands.output import (
    AsJson,
    FileAsJson,
    check_file_answer,
    console,
    money,
    sentence,
    show_json_lines,
    write_text,
    wrote,
)
from valueverse.errors import RefusalError

if TYPE_CHECKING:
    import polars as pl

    from valueverse.ledger import Journal

_HELP = "The journal: double entry of everything booked."


def register(app: typer.Typer) -> None:
    """Add ``ledger export`` and ``ledger check`` to the command line."""
    ledger = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode="rich")
    ledger.command("export")(_export)
    ledger.command("check")(_check)
    app.add_typer(ledger, name="ledger")


def _export(
    form: Annotated[str, typer.Option("--format", help="Format of the file: beancount.")] = "beancount",
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's journal.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write to this file instead of standard output.")] = None,
    documents: Annotated[
        Path | None,
        typer.Option("--from-documents", help="Book these invoice documents (one JSON per line); needs no server."),
    ] = None,
    timezone: Annotated[
        str, typer.Option("--timezone", help="With --from-documents: the zone whose days service periods count in.")
    ] = "UTC",
    as_json: FileAsJson = False,
) -> None:
    """Write the journal as a ledger that bean-check accepts.

    A document states neither payments nor where prepaid money came from; with --from-documents only what invoices move
    is booked.

    [dim]valueverse ledger export --tenant acme --out acme.beancount[/dim]

    [dim]valueverse ledger export --from-documents invoice.json[/dim]
    """
    from valueverse.platform.settings import get_settings
    from valueverse.services.billing.export_journal import beancount_text, export_journal
    from valueverse.services.per_tenant import report

    check_file_answer(out, as_json=as_json)
    if form != "beancount":
        raise RefusalError("unknown_format", f"{form!r} is no format of the journal: beancount is", "--format")
    if documents is None:
        text, failures = export_journal(get_settings(), tenant)
    else:
        text, failures = beancount_text(_of_documents(documents, timezone, tenant))
    if out is None:
        sys.stdout.write(text)
    else:
        write_text(out, text)
    if out is not None and as_json:
        wrote(out, as_json=True)
    if code := report(failures):
        raise typer.Exit(code)


def _of_documents(path: Path, timezone: str, tenant: str | None) -> Journal:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    import polars as pl

    from valueverse.ledger import JournalInputs, book_entries, derive_movements, no_bookings, read_documents
    from valueverse.schemas.events import BILLING_FACTS
    from valueverse.schemas.invoicing import CORRECTED
    from valueverse.schemas.ledger import PAYABLE_INVOICES, WALLET_USES
    from valueverse.schemas.subscriptions import TENANT_PROFILES

    try:
        ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise RefusalError("unknown_timezone", f"{timezone!r} is no IANA time zone", "--timezone") from error
    try:
        texts = [line for line in path.read_text(encoding="utf-8").split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise RefusalError("unreadable_file", f"{path}: {error}", "--from-documents") from error
    frame = pl.DataFrame({"document": texts}, schema={"document": pl.String}).with_columns(
        pl.lit(timezone).alias("timezone")
    )
    try:
        found = read_documents(frame)
    except RefusalError as refusal:
        raise refusal.below(str(path)) from refusal
    zones = TENANT_PROFILES.part("tenant", "timezone").to_frame()
    nothing = (BILLING_FACTS.to_frame(), PAYABLE_INVOICES.to_frame(), CORRECTED.to_frame(), WALLET_USES.to_frame())
    inputs = JournalInputs(*nothing, zones, datetime.now(UTC))
    moves, _ = derive_movements(found, inputs)
    return book_entries(moves if tenant is None else moves.filter(pl.col("tenant") == tenant), no_bookings())


def _judged(rule: str, wrong: pl.DataFrame) -> dict[str, Any]:
    """rule, ok, and rows (tenant, what, currency, expected, actual) that break it."""
    from valueverse.money import minor_text, minor_units

    rows = []
    for row in wrong.iter_rows(named=True):
        if row["rule"] == rule:
            places = minor_units(row["currency"])
            amounts = {side: minor_text(row[f"{side}_minor"], places) for side in ("expected", "actual")}
            rows.append({name: row[name] for name in ("tenant", "what", "currency")} | amounts)
    return {"rule": rule, "ok": not rows, "rows": rows}


def _show_rules(rules: list[dict[str, Any]]) -> None:
    out = console(soft_wrap=True)
    for one in rules:
        out.print(sentence(f"{'ok' if one['ok'] else 'wrong':<6}{one['rule']}", "" if one["ok"] else "red"))
        for row in one["rows"]:
            actual, expected = (money(row[side], row["currency"]) for side in ("actual", "expected"))
            out.print(sentence(f"      {row['tenant']} {row['what']}: {actual}, expected {expected}"))


def _check(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's journal.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check the journal's rules; exits 1 and names each row where one does not hold.

    Debits equal credits in every entry. A receivable is invoices less payments and credits. Deferred revenue runs to 0.
    No wallet is negative.

    [dim]valueverse ledger check --tenant acme[/dim]
    """
    import polars as pl

    from valueverse.ledger import INVARIANTS
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import get_settings
    from valueverse.platform.stores.tenant_store import known_tenants
    from valueverse.platform.warehouse import connect
    from valueverse.services.billing.export_journal import tenant_names
    from valueverse.services.billing.journal_inputs import broken_rules, current_inputs
    from valueverse.services.per_tenant import report, without_failing

    settings = get_settings()
    with connect(settings, "builder") as connection:
        zones = known_tenants(connection, None if tenant is None else [tenant])
        names = tenant_names(zones, tenant)
        lake, now = Lake(settings.lake_url), datetime.now(UTC)

        def work(tenants: list[str]) -> pl.DataFrame:
            with connection.transaction():
                inputs = current_inputs(connection, lake, zones.filter(pl.col("tenant").is_in(tenants)), now)
                return broken_rules(connection, tenants, inputs)

        wrong, failures = without_failing(work, names)
    rules = [_judged(rule, wrong) for rule in INVARIANTS]
    if as_json:
        show_json_lines(rules)
    else:
        _show_rules(rules)
    if report(failures) or not wrong.is_empty():
        raise typer.Exit(1)
