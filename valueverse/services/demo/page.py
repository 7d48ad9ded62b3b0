"""Everything that the demonstration shows, as one page: the file that its summary on the terminal leads to."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from valueverse.money import minor_units
from valueverse.services.demo.results import money
from valueverse.value.report import (
    Bar,
    Code,
    Facts,
    Headline,
    Page,
    Section,
    Table,
    build_bar_chart,
    printable,
    render_page,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from valueverse.services.demo.http_events import ProvenReceipt
    from valueverse.services.demo.results import DemoResults, Invoice
    from valueverse.services.demo.step_time import StepTime
    from valueverse.value.report import Cell, Chart


def demo_page(
    results: DemoResults,
    receipt: ProvenReceipt,
    times: Sequence[StepTime],
    next_steps: Sequence[tuple[str, str]],
) -> str:
    """The page as HTML.

    Args:
        results: what the demonstration came to.
        receipt: of the events that were sent over HTTP.
        times: its steps, in order, without their sum.
        next_steps: what may be done next, and the command or address that does it.
    """
    received = sum(one.received for one in results.ingested)
    finalised = sum(one.status == "finalised" for one in results.invoices)
    compared = sum(one.compared for one in results.compared)
    agreeing = sum(one.agreeing for one in results.compared)
    return render_page(
        Page(
            "From usage events to invoices",
            f"The ValueVerse demonstration: {' and '.join(one.tenant for one in results.ingested)}",
            [_LEAD],
            [
                Headline("Invoices", f"{finalised:,}", f"and {len(results.invoices) - finalised:,} drafts"),
                Headline("Events received", f"{received:,}"),
                Headline("Comparisons that agree", f"{agreeing:,} of {compared:,}"),
                Headline("Time", f"{sum(one.seconds for one in times):.0f} s"),
            ],
            [
                Section("invoices", "Invoices", "", _invoices(results.invoices)),
                Section("value", "Value and fee", _VALUE if results.realised else "", _value(results)),
                Section("events", "Events: what was taken, and what was not", _EVENTS, _events(results)),
                Section("recomputed", "Reconciliation", _RECONCILED, _reconciliation(results)),
                Section("receipt", "Receipt of the events sent over HTTP", _RECEIPT, [_receipt(receipt)]),
                Section("times", "Where the time went", "", _times(times)),
                Section("next", "Next", "", [Facts([(text, Code(how)) for text, how in next_steps])]),
                Section("all", "Every invoice", "", [_every_invoice(results.invoices)]),
            ],
        )
    )


_LEAD = (
    "Two tenants delivered usage and billing events, in two deliveries, by files and over HTTP. They were checked, "
    "metered, billed, recomputed by an independent program and published, by jobs of Dagster."
)
_VALUE = (
    "What the requests of a month saved the customer, measured by the model that both sides agreed on; the fee is a "
    "share of it. The page that the customer gets lies beside this one: developer_time.html."
)
_EVENTS = (
    "Every line that was received was accepted, was a duplicate, or is in quarantine with a reason. "
    "Every accepted usage event was billed, or has a reason why not."
)
_RECEIPT = (
    "The API answered with a signed receipt: the root of a hash tree over the events. Verified from the events, the "
    "receipt, a proof and the public key alone: the audit log holds that root, and its checkpoint was signed."
)
_RECONCILED = (
    "DuckDB recomputed usage, lines and totals from the events alone, with code that shares nothing with billing. "
    "A tenant with a difference would be held, and nothing of it published."
)


def _invoices(invoices: Sequence[Invoice]) -> list[Table | Chart]:
    """Totals by tenant and month of issue, and a chart for each currency."""
    totals: Counter[tuple[str, str, str, str]] = Counter()
    counts: Counter[tuple[str, str, str, str]] = Counter()
    months: Counter[tuple[str, str]] = Counter()
    for one in invoices:
        key = (one.tenant, f"{one.issued_on:%Y-%m}", one.status, one.currency)
        totals[key] += one.total_minor
        counts[key] += 1
        if one.status == "finalised":
            months[one.currency, f"{one.issued_on:%Y-%m}"] += one.total_minor
    rows = [
        (tenant, month, status, f"{counts[key]:,}", money(totals[key], key[3]))
        for key in sorted(totals)
        for tenant, month, status, _ in [key]
    ]
    charts = [
        build_bar_chart(
            f"invoiced-{currency}",
            f"Invoiced by month of issue, {currency}",
            currency,
            [
                Bar(month, _major(total, currency), money(total, currency))
                for (found, month), total in sorted(months.items())
                if found == currency
            ],
        )
        for currency in sorted({currency for currency, _ in months})
    ]
    table = Table(
        "Invoices by month of issue", ("tenant", "month", "status", "invoices", "total"), rows, frozenset({3, 4})
    )
    return [table, *charts]


def _major(minor: int, currency: str) -> Decimal:
    return Decimal(minor).scaleb(-minor_units(currency))


def _every_invoice(invoices: Sequence[Invoice]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            one.number or "draft",
            one.tenant,
            one.customer,
            f"{one.period_from:%Y-%m-%d} to {one.period_to:%Y-%m-%d}",
            f"{one.issued_on}",
            one.status,
            money(one.total_minor, one.currency),
        )
        for one in invoices
    ]
    columns = ("number", "tenant", "customer", "period (end excluded)", "issued", "status", "total")
    return Table("By tenant and number; drafts have none yet", columns, rows, frozenset({6}))


def _value(results: DemoResults) -> list[Table]:
    rows: list[tuple[Cell, ...]] = [
        (
            one.proposal,
            one.customer,
            f"{one.month:%B %Y}",
            f"{one.committed:,.2f} {one.currency}",
            f"{one.realised:,.2f} {one.currency}",
            f"{one.fee:,.2f} {one.currency}",
        )
        for one in results.realised
    ]
    columns = ("proposal", "customer", "month", "committed", "realised", "fee")
    return [Table("Developer time saved", columns, rows, frozenset({3, 4, 5}))] if rows else []


def _events(results: DemoResults) -> list[Table | Chart]:
    counts = ("received", "accepted", "duplicate", "quarantined", "billed", "unbilled")
    ingested = Table(
        "Events by tenant",
        ("tenant", *counts),
        [(one.tenant, *(f"{getattr(one, name):,}" for name in counts)) for one in results.ingested],
        frozenset(range(1, 7)),
    )
    refused = Counter[str]()
    for counted in results.quarantined:
        refused[counted.reason] += counted.events
    quarantined: list[tuple[Cell, ...]] = [
        (one.tenant, one.reason, f"{one.events:,}", Code(_one_line(one.example))) for one in results.quarantined
    ]
    unbilled = [(one.tenant, one.reason, f"{one.events:,}") for one in results.unbilled]
    rejected = [(one.tenant, one.type, one.reason, one.message) for one in results.rejected]
    return [
        ingested,
        build_bar_chart(
            "quarantined",
            "Quarantined events by reason",
            "events",
            [Bar(reason, events, f"{events:,}") for reason, events in refused.most_common()],
        ),
        Table("Quarantined, and why", ("tenant", "reason", "events", "example"), quarantined, frozenset({2})),
        Table("Accepted but not billed, and why", ("tenant", "reason", "events"), unbilled, frozenset({2})),
        Table("Billing events that cannot be obeyed", ("tenant", "type", "reason", "message"), rejected),
    ]


def _one_line(text: str) -> str:
    """The beginning of a line that was refused, which may be of any length and hold anything."""
    shown = printable(" ".join(text.split()))
    return shown if len(shown) <= 160 else f"{shown[:159]}…"


def _reconciliation(results: DemoResults) -> list[Table | Facts]:
    rows: list[tuple[Cell, ...]] = [
        (one.check_name, one.tenant, f"{one.compared:,}", f"{one.agreeing:,}", f"{one.difference.normalize():f}")
        for one in results.compared
    ]
    columns = ("check", "tenant", "compared", "agree", "difference")
    held = [("Held", sentence) for sentence in results.held] or [("Held", "no tenant")]
    return [
        Table("Comparisons", columns, rows, frozenset({2, 3, 4})),
        Facts([*held, ("Fingerprint of all finalised invoices", Code(results.fingerprint))]),
    ]


def _receipt(receipt: ProvenReceipt) -> Facts:
    return Facts(
        [
            ("Events", f"{receipt.events:,}, of {receipt.tenant}"),
            ("Entry of the audit log", f"{receipt.sequence:,} of the {receipt.size:,} that its checkpoint covers"),
            ("The receipt", Code(receipt.path.name)),
            ("The same for the whole log", Code(f"valueverse audit verify --tenant {receipt.tenant}")),
        ]
    )


def _times(times: Sequence[StepTime]) -> list[Table | Chart]:
    by_step: dict[str, list[StepTime]] = {}
    for one in times:
        by_step.setdefault(one.step, []).append(one)
    sums = {step: sum(one.seconds for one in mine) for step, mine in by_step.items()}
    rows = [(one.step, one.what, f"{one.seconds:.1f}") for one in times]
    return [
        build_bar_chart(
            "seconds",
            "Seconds by step",
            "seconds",
            [Bar(step, seconds, f"{seconds:.1f} s") for step, seconds in sums.items()],
        ),
        Table("In the order in which they ran", ("step", "what", "seconds"), rows, frozenset({2})),
    ]
