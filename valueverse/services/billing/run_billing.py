"""Bill the periods that close in a range of months: drafts, finalised invoices, and the account of every usage
event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self, cast

import orjson
import polars as pl

from valueverse.catalog import CatalogHistory
from valueverse.dates import following_month
from valueverse.invoicing import RULES_VERSION, Billed, known_at_of_tenant
from valueverse.invoicing import bill as bill_together
from valueverse.invoicing.rendering import build_invoice_documents, finalise, invoice_id, invoice_number
from valueverse.invoicing.settlement import NUMBERING_ORDER
from valueverse.platform.stores import billing_store as store
from valueverse.platform.stores.correction_store import record_unchanged
from valueverse.platform.stores.earlier_states import remember, store_replaced
from valueverse.platform.stores.held_invoice_store import replace_held
from valueverse.platform.stores.proposal_store import approved
from valueverse.platform.warehouse import connect
from valueverse.schemas.events import REJECTED_EVENTS
from valueverse.schemas.invoicing import HELD_LINES, INVOICE, NUMBERED_INVOICES, UNCHANGED_INVOICES
from valueverse.services.billing.billing_state import apply_voids, read_prior_state, watermarks
from valueverse.services.billing.dimension_tables import credit_notes, write_dimensions
from valueverse.services.lake_tables import BILLING_FACTS_TABLE, USAGE_TABLE
from valueverse.services.usage.usage_accounting import account_for_usage
from valueverse.subscriptions import Timeline, build_timeline, local_date, local_midnight

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    import psycopg

    from valueverse.invoicing import KnownAt
    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import Settings


@dataclass(frozen=True)
class BillingReport:
    """What a billing run found and wrote.

    Attributes:
        invoices: the invoices that were written in the columns of ``billing.invoice``, drafts and newly finalised ones.
        lines: their lines, in the columns of ``billing.invoice_line``.
        problems: HELD_LINES.
        rejected: billing events that could not be applied.
    """

    invoices: pl.DataFrame
    lines: pl.DataFrame
    problems: pl.DataFrame
    rejected: pl.DataFrame


def bill(
    settings: Settings,
    lake: Lake,
    first_month: date,
    last_month: date,
    *,
    as_of: datetime,
    run_id: str,
    tenants: Collection[str] | None = None,
    progress: Callable[[str], None] | None = None,
) -> BillingReport:
    """Bill what closes in the months from ``first_month`` to ``last_month`` (first days, both included), and again what
    closes in other months where the run voids an invoice. Idempotent.

    Args:
        settings: where the warehouse is.
        lake: usage and billing facts.
        first_month: first month of the range.
        last_month: last month of the range.
        as_of: the run's present: what closes later is left alone, what closed a grace ago is finalised.
        run_id: recorded with what is written.
        tenants: only these; None: all.
        progress: called with one sentence per step.
    """
    report_progress = progress or (lambda _: None)
    report_progress("reading billing facts")
    received = _Received.read(lake, tenants)
    window = (first_month, following_month(last_month))
    report_progress(f"billing {received.timeline.segments['subscription'].n_unique()} subscriptions")
    with connect(settings, "builder") as connection:
        known, timeline, history = received.tenants, received.timeline, received.history
        run = _Run(connection, run_id, as_of, watermarks(lake, as_of, known))
        last = store.lock_tenants(connection, known)
        remember(connection, known)
        store.upsert_tenants(connection, timeline.tenants.rename({"tenant": "tenant_id"}))
        refused = apply_voids(connection, timeline, history, as_of)
        again = []
        for month, voided in _voided_elsewhere(run, received, window):
            report_progress(f"billing {month:%Y-%m} again, where invoices were voided")
            months = (month, following_month(month))
            again.append(_write(run, _worked_out(run, received.of(voided), months), last))
        done = _worked_out(run, received, window)
        report_progress(f"writing {done.billed.invoices.height} invoices")
        rejected = pl.concat(
            [timeline.rejected, done.billed.rejected, refused, history.rejected.select(REJECTED_EVENTS.names())]
        )
        notes = credit_notes(timeline, history, done.numbers, rejected)
        write_dimensions(connection, timeline, history, rejected, notes, run_at=as_of)
        store_replaced(connection, known, as_of)
        written = [*again, _write(run, done, last)]
        report_progress("accounting for every usage event")
        account_for_usage(connection, lake, timeline, history, window[1] + timedelta(days=1))
        connection.commit()
    invoices, lines, problems = (pl.concat(parts) for parts in zip(*written, strict=True))
    return BillingReport(invoices, lines, problems, rejected)


@dataclass(frozen=True)
class _Run:
    """One billing run: its transaction, its id, its present, and what is known of each tenant."""

    connection: psycopg.Connection[Any]
    run_id: str
    as_of: datetime
    known_at: KnownAt


@dataclass(frozen=True)
class _Received:
    """What was received of some tenants."""

    facts: pl.DataFrame
    usage: pl.LazyFrame
    history: CatalogHistory
    timeline: Timeline

    @classmethod
    def read(cls, lake: Lake, tenants: Collection[str] | None) -> Self:
        """All that the lake has of these tenants (None: of all)."""
        facts, usage = lake.scan(BILLING_FACTS_TABLE).collect(), lake.scan(USAGE_TABLE)
        return cls._from(facts, usage, tenants)

    def of(self, tenants: Collection[str]) -> Self:
        """That of some of the tenants."""
        return self._from(self.facts, self.usage, tenants)

    @classmethod
    def _from(cls, facts: pl.DataFrame, usage: pl.LazyFrame, tenants: Collection[str] | None) -> Self:
        if tenants is not None:
            own = pl.col("tenant").is_in(list(tenants))
            facts, usage = facts.filter(own), usage.filter(own)
        history = CatalogHistory.from_facts(facts)
        return cls(facts, usage, history, build_timeline(facts, history.plans, None))

    @property
    def tenants(self) -> list[str]:
        """Keys of the tenants that exist."""
        return self.timeline.tenants["tenant"].to_list()


@dataclass(frozen=True)
class _WorkedOut:
    """What is due of some tenants in a window, before it is written.

    Attributes:
        received: what it was worked out from.
        window: first day, and the first day after.
        billed: the invoices.
        numbers: those of invoices so far, as ``credit_notes`` takes them.
    """

    received: _Received
    window: tuple[date, date]
    billed: Billed
    numbers: pl.DataFrame


def _voided_elsewhere(run: _Run, received: _Received, window: tuple[date, date]) -> Iterator[tuple[date, list[str]]]:
    """Months outside of the window in which invoices close that this run has voided, and of which tenants: nothing else
    asks for their billing, and their periods are due again (docs/events.md, billing.invoice.voided)."""
    voided = _with_month(store.voided_by(run.connection, received.tenants, run.as_of), received.timeline)
    elsewhere = voided.filter((pl.col("month") < window[0]) | (pl.col("month") >= window[1]))
    for (month,), part in elsewhere.sort("month", "tenant").group_by("month", maintain_order=True):
        yield cast("date", month), part["tenant"].unique(maintain_order=True).to_list()


def _worked_out(run: _Run, received: _Received, window: tuple[date, date]) -> _WorkedOut:
    """Bill a window; its drafts are dropped before."""
    store.drop_drafts(run.connection, _windows(received.timeline, window))
    scope = store.Scope(received.tenants)
    prior = read_prior_state(run.connection, scope, received.usage, received.history, received.facts, run.known_at)
    billed = bill_together(
        received.timeline, received.history, received.usage, window, known_at=run.known_at, closed_by=run.as_of,
        prior=prior, outcomes=approved(run.connection, scope, run.as_of),
    )  # fmt: skip
    return _WorkedOut(received, window, billed, prior.consumed.numbers)


def _write(
    run: _Run, done: _WorkedOut, last: dict[str, tuple[int, str | None]]
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Write invoices, what was found unchanged, and what is held back: rows of ``billing.invoice`` and
    ``billing.invoice_line``, and HELD_LINES. ``last`` moves on to the last numbers."""
    tables, numbered = _rows(done.billed, last, run.as_of, run.run_id)
    last.update(numbered)
    store.insert_invoices(run.connection, tables)
    store.advance_sequences(run.connection, last)
    known_with = done.billed.unchanged.with_columns(known_at_of_tenant(run.known_at).alias("events_known_at"))
    record_unchanged(run.connection, UNCHANGED_INVOICES.conform(known_with), run.as_of)
    problems = _with_month(done.billed.problems, done.received.timeline).select(HELD_LINES.names())
    replace_held(run.connection, done.received.tenants, *done.window, problems, run.run_id)
    return tables["billing.invoice"], tables["billing.invoice_line"], problems


def _with_month(rows: pl.DataFrame, timeline: Timeline) -> pl.DataFrame:
    """Rows of invoices with ``month``: the first day of the tenant's month that holds the period's last instant."""
    zoned = rows.join(timeline.tenants.select("tenant", "timezone"), on="tenant", how="left", maintain_order="left")
    instant = (
        pl.when(pl.col("invoice_type") == "start")
        .then("period_from")
        .otherwise(pl.col("period_to") - timedelta(microseconds=1))
    )
    dated = local_date(zoned, instant, "timezone", "month")
    return dated.with_columns(pl.col("month").dt.truncate("1mo"))


def _windows(timeline: Timeline, window: tuple[date, date]) -> pl.DataFrame:
    bounded = local_midnight(timeline.tenants, window[0], "timezone", "window_from")
    return local_midnight(bounded, window[1], "timezone", "window_to")


def _rows(
    billed: Billed, last: dict[str, tuple[int, str | None]], as_of: datetime, run_id: str
) -> tuple[dict[str, pl.DataFrame], dict[str, tuple[int, str | None]]]:
    """Invoices and what belongs to them, by table; what is past its grace gets the next number of its tenant."""
    last = dict(last)
    ordered = billed.invoices.sort(NUMBERING_ORDER)
    rows: list[dict[str, Any]] = []
    for row, draft in zip(ordered.iter_rows(named=True), build_invoice_documents(ordered, billed.lines), strict=True):
        tenant = row["tenant"]
        written: dict[str, Any] = {
            "invoice_id": invoice_id(row),
            "status": "draft",
            "document": orjson.dumps(draft).decode(),
            "content_hash": draft["content_hash"],
        }
        if row["finalise_after"] <= as_of:
            sequence = last[tenant][0] + 1
            done = finalise(draft, invoice_number(tenant, sequence), last[tenant][1])
            last[tenant] = (sequence, done.chain_hash)
            written |= {
                "status": "finalised",
                "sequence": sequence,
                "number": done.number,
                "document": done.document,
                "previous_hash": done.previous_hash,
                "chain_hash": done.chain_hash,
                "finalised_at": as_of,
            }
        rows.append({name: row[name] for name in INVOICE} | written)
    decided = pl.DataFrame(rows, schema=NUMBERED_INVOICES)
    invoices = ordered.join(decided, on=INVOICE, how="inner", maintain_order="left")
    return {
        "billing.invoice": _invoice_table(invoices, as_of, run_id),
        "billing.invoice_line": _line_table(billed.lines, decided),
        "billing.invoice_credit": _parts(invoices, "credits", "kind", "key", "origin", "amount_minor"),
        "billing.invoice_discount": _parts(invoices, "discounts", "key", "origin", "amount_minor"),
        "billing.invoice_tax": _parts(invoices, "taxes", "key", "percent", "base_minor", "amount_minor"),
    }, last


def _parts(invoices: pl.DataFrame, column: str, *names: str) -> pl.DataFrame:
    """One row per credit, discount or tax of each invoice, in its order."""
    listed = invoices.select(pl.col("tenant").alias("tenant_id"), "invoice_id", column).filter(
        pl.col(column).list.len() > 0
    )
    return (
        listed.explode(column)
        .with_columns(pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("tenant_id", "invoice_id").alias("position"))
        .unnest(column)
        .select("tenant_id", "invoice_id", "position", *names)
    )


def _invoice_table(invoices: pl.DataFrame, as_of: datetime, run_id: str) -> pl.DataFrame:
    return invoices.select(
        pl.col("tenant").alias("tenant_id"),
        "invoice_id", "number", "sequence", "status", "customer",
        pl.when(pl.col("subscription") != "").then("subscription").alias("subscription"),
        "currency", "period_from", "period_to", "invoice_type", "revision", "issued_on", "due_on",
        "subtotal_minor", "discount_total_minor", "tax_total_minor", "total_minor", "credit_total_minor",
        "amount_due_minor", "events_known_at", "catalog_hash",
        pl.lit(RULES_VERSION).alias("rules_version"),
        pl.struct(mode="rounding_mode", level="rounding_level").alias("rounding"),
        "document", "content_hash", "previous_hash", "chain_hash",
        pl.lit(run_id).alias("run_id"),
        pl.lit(as_of).alias("computed_at"),
        "finalised_at",
    )  # fmt: skip


def _line_table(lines: pl.DataFrame, decided: pl.DataFrame) -> pl.DataFrame:
    named = lines.join(decided.select(*INVOICE, "invoice_id"), on=INVOICE, how="inner", maintain_order="left")
    return named.select(
        pl.col("tenant").alias("tenant_id"),
        "invoice_id",
        pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("tenant", "invoice_id").alias("line_no"),
        "key", "kind", "description", "meter",
        pl.when(pl.col("dimensions") != "").then("dimensions").alias("dimensions"),
        "service_from", "service_to", "quantity", "amount_precise", "amount_minor", "discount_minor", "tax_minor",
        "currency",
        pl.col("event_count").fill_null(0),
        "tiers", "explains", "corrected_invoice_id", "proposal",
        pl.col("is_difference").fill_null(value=False),
    )  # fmt: skip
