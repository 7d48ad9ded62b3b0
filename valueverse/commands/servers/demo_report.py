"""What the demonstration shows at its end: invoices, quarantine, reconciliation, timings, next steps."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.table import Table

from valueverse.commands.servers.demo_value import report_path
from valueverse.demo import northwind
from valueverse.money import minor_units

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import psycopg
    from rich.console import Console

    from valueverse.commands.progress import Timing
    from valueverse.platform.settings import Settings

Connection = "psycopg.Connection[Any]"

_INVOICES = """
select i.tenant_id, i.number, i.customer, i.subscription, i.status, i.currency, i.total_minor, i.issued_on,
       i.period_from at time zone t.timezone, i.period_to at time zone t.timezone
from billing.invoice i join billing.tenant t using (tenant_id)
where i.tenant_id = %s order by i.sequence nulls last, i.invoice_id limit %s"""

_REALISED = """
select p.customer, to_char(c.month, 'YYYY-MM'), p.currency, max(x.value) filter (where c.case_name = 'committed'),
       max(x.value) filter (where c.run_hash = p.run_hash), trim_scale(p.amount)::text, p.proposal
from value.proposal p
join value.run r on r.tenant_id = p.tenant_id and r.run_hash = p.run_hash
join value.run c on c.tenant_id = p.tenant_id and c.commit_id = r.commit_id and c.month = r.month
join value.result x on x.tenant_id = c.tenant_id and x.run_hash = c.run_hash and x.name = 'benefit'
group by p.tenant_id, p.customer, c.month, p.currency, p.amount, p.proposal order by p.proposal"""

_BY_MONTH = """
select to_char(i.issued_on, 'YYYY-MM'), i.currency, i.status, count(*), sum(i.total_minor)
from billing.invoice i where i.tenant_id = %s group by 1, 2, 3 order by 1, 2, 3"""

_QUARANTINE = """
select tenant_id, reason, sum(events)::bigint, min(example)
from billing.quarantine_summary group by 1, 2 order by 1, 3 desc, 2"""

_INGESTION = """
select tenant_id,
       sum(received)::bigint, sum(accepted)::bigint, sum(duplicate)::bigint, sum(quarantined)::bigint
from billing.ingestion_file group by 1 order by 1"""

_EVENT_DAYS = """
select tenant_id, sum(accepted)::bigint, sum(billed)::bigint, sum(unbilled)::bigint
from billing.event_day group by 1 order by 1"""

_UNBILLED = """
select tenant_id, reason, sum(events)::bigint
from billing.unbilled_usage group by 1, 2 order by 1, 3 desc, 2"""

_REJECTED = "select tenant_id, type, reason, message from billing.rejected_event order by 1, 2, 3, 4"

_RECONCILED = """
select tenant_id, check_name, count(*), count(*) filter (where ok), coalesce(sum(abs(difference)), 0)
from billing.reconciliation group by 1, 2 order by 1, 2"""


def report(
    settings: Settings,
    console: Console,
    timings: Sequence[Timing],
    keys: Mapping[str, str],
    addresses: Mapping[str, str],
) -> None:
    """Print everything, in the order in which one wants to know it."""
    from valueverse.platform.warehouse import connect
    from valueverse.services.tenant_holds import held_lines

    with connect(settings, "builder") as connection:
        for table in (
            _northwind(connection),
            _value(connection),
            _harbor(connection),
            _counts(connection),
            _quarantine(connection),
            _unbilled(connection),
            _rejected(connection),
            _reconciliation(connection),
        ):
            console.print(table)
        console.print(f"fingerprint of all finalised invoices: [bold]{fingerprint(connection)}[/bold]")
    for line in held_lines(settings):
        console.print(line, style="yellow", markup=False)
    console.print(_timings(timings))
    _next_steps(settings, console, keys, addresses)


def invoice_documents(settings: Settings) -> Iterator[str]:
    """Every finalised invoice as one line of JSON, by tenant and number."""
    from valueverse.platform.warehouse import connect

    with connect(settings, "builder") as connection, connection.cursor() as cursor:
        cursor.execute("select document from billing.invoice where status = 'finalised' order by tenant_id, sequence")
        for (document,) in cursor:
            yield " ".join(str(document).splitlines())


def fingerprint(connection: psycopg.Connection[Any]) -> str:
    """SHA-256 over number and content hash of every finalised invoice: equal results, equal fingerprints."""
    rows = connection.execute(
        "select tenant_id, number, content_hash from billing.invoice "
        "where status = 'finalised' order by tenant_id, sequence"
    ).fetchall()
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def money(minor: int, currency: str) -> str:
    """Minor units as the amount with its currency, e.g. ``78.81 USD``."""
    decimals = minor_units(currency)
    return f"{Decimal(minor).scaleb(-decimals):,.{decimals}f} {currency}"


def _table(title: str, *columns: str, numbers: Sequence[str] = ()) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim")
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left")
    return table


def _northwind(connection: psycopg.Connection[Any]) -> Table:
    table = _table(
        f"Invoices of {northwind.TENANT} (real traffic of 16 November 2023)",
        "number",
        "customer",
        "period",
        "issued",
        "status",
        "total",
        numbers=("total",),
    )
    for row in connection.execute(_INVOICES, [northwind.TENANT, 20]):
        _, number, customer, _, status, currency, total, issued, start, end = row
        period = f"{start:%Y-%m-%d} to {end:%Y-%m-%d}"
        table.add_row(number or "-", customer, period, f"{issued}", status, money(total, currency))
    return table


def _value(connection: psycopg.Connection[Any]) -> Table:
    table = _table(
        "Value of developer time, committed and realised, and the fee proposed for it",
        "customer",
        "month",
        "committed",
        "realised",
        "fee",
        "proposal",
        numbers=("committed", "realised", "fee"),
    )
    for customer, month, currency, committed, realised, fee, proposal in connection.execute(_REALISED):
        table.add_row(customer, month, f"{committed:,.2f} {currency}", f"{realised:,.2f} {currency}", fee, proposal)
    return table


def _harbor(connection: psycopg.Connection[Any]) -> Table:
    table = _table(
        "Invoices of harbor-metrics by month of issue",
        "month",
        "status",
        "invoices",
        "total",
        numbers=("invoices", "total"),
    )
    for month, currency, status, count, total in connection.execute(_BY_MONTH, ["harbor-metrics"]):
        table.add_row(month, status, f"{count:,}", money(int(total), currency))
    return table


def _counts(connection: psycopg.Connection[Any]) -> Table:
    counts = ("received", "accepted", "duplicate", "quarantined")
    table = _table("Ingestion: received = accepted + duplicate + quarantined", "tenant", *counts, numbers=counts)
    for tenant, *numbers in connection.execute(_INGESTION):
        table.add_row(tenant, *(f"{number:,}" for number in numbers))
    return table


def _quarantine(connection: psycopg.Connection[Any]) -> Table:
    table = _table("Quarantined, and why", "tenant", "reason", "events", "example", numbers=("events",))
    for tenant, reason, events, example in connection.execute(_QUARANTINE):
        shown = " ".join((example or "").split())
        table.add_row(tenant, reason, f"{events:,}", shown if len(shown) <= 70 else f"{shown[:69]}…")
    return table


def _unbilled(connection: psycopg.Connection[Any]) -> Table:
    table = _table("Accepted but not billed, and why", "tenant", "reason", "events", numbers=("events",))
    for tenant, reason, events in connection.execute(_UNBILLED):
        table.add_row(tenant, reason, f"{events:,}")
    return table


def _rejected(connection: psycopg.Connection[Any]) -> Table:
    table = _table("Billing events that cannot be obeyed", "tenant", "type", "reason", "message")
    for row in connection.execute(_REJECTED):
        table.add_row(*row)
    return table


def _reconciliation(connection: psycopg.Connection[Any]) -> Table:
    numbers = ("checked", "agree", "difference")
    table = _table("Reconciliation: an independent recomputation agrees", "tenant", "check", *numbers, numbers=numbers)
    for tenant, check, checked, agree, difference in connection.execute(_RECONCILED):
        colour = "green" if checked == agree else "red"
        table.add_row(tenant, check, f"{checked:,}", f"[{colour}]{agree:,}[/]", f"{Decimal(difference).normalize():f}")
    for tenant, accepted, billed, unbilled in connection.execute(_EVENT_DAYS):
        difference = accepted - billed - unbilled
        colour = "red" if difference else "green"
        table.add_row(
            tenant,
            "accepted events = billed + unbilled",
            f"{accepted:,}",
            f"[{colour}]{billed:,} + {unbilled:,}[/]",
            str(difference),
        )
    return table


def _timings(timings: Sequence[Timing]) -> Table:
    table = _table("Timings", "step", "what", "seconds", numbers=("seconds",))
    for timing in timings:
        table.add_row(timing.step, timing.what, f"{timing.seconds:.1f}", end_section=timing.step == "serve")
    return table


def _next_steps(settings: Settings, console: Console, keys: Mapping[str, str], addresses: Mapping[str, str]) -> None:
    from valueverse.platform.servers.supervisor import API, DAGSTER

    dagster = addresses.get(DAGSTER) or f"http://127.0.0.1:{settings.dagster_port}"
    api = addresses.get(API) or f"http://127.0.0.1:{settings.api_port}"
    table = _table("API keys (also in demo-keys.json)", "tenant", "key")
    for tenant, key in keys.items():
        table.add_row(tenant, key)
    console.print(table)
    key = keys.get(northwind.TENANT, "KEY")
    if len(addresses) < 2:
        console.print("The servers below start with [bold]valueverse up[/bold].")
    console.print("Next:")
    console.print(f"  1. Dagster, with every run of this demo: [bold]{dagster}/runs[/bold]", soft_wrap=True)
    console.print(
        f"  2. the API as {northwind.TENANT}: TOKEN=$(curl -s -X POST {api}/v1/sessions "
        f'-H \'Authorization: Bearer {key}\' | sed \'s/.*"access_token":"\\([^"]*\\)".*/\\1/\'); '
        f'curl -s -H "Authorization: Bearer $TOKEN" {api}/v1/invoices',
        soft_wrap=True,
        markup=False,
    )
    console.print(f"  3. the value of developer time as a page: [bold]{report_path(settings)}[/bold]", soft_wrap=True)
    console.print("  4. SQL on the lake and the marts: [bold]valueverse sql[/bold]", soft_wrap=True)
