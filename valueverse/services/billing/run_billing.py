"""Bill the periods that close in a range of months: drafts, finalised invoices, and the account of every usage
event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

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
    from collections.abc import Callable, Collection

    from valueverse.platform.lake import Lake
    from valueverse.platform.settings import Settings


@dataclass(frozen=True)
class BillingReport:
    """What a billing run found and wrote.

    Attributes:
        invoices: the invoices of the window in the columns of ``billing.invoice``, drafts and newly finalised ones.
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
    """Bill what closes in the months from ``first_month`` to ``last_month`` (first days, both included). Idempotent.

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
    facts, usage = _received(lake, tenants)
    history = CatalogHistory.from_facts(facts)
    timeline = build_timeline(facts, history.plans, None)
    window = (first_month, following_month(last_month))
    report_progress(f"billing {timeline.segments['subscription'].n_unique()} subscriptions")
    with connect(settings, "builder") as connection:
        known = timeline.tenants["tenant"].to_list()
        known_at = watermarks(lake, as_of, known)
        last = store.lock_tenants(connection, known)
        remember(connection, known)
        store.upsert_tenants(connection, timeline.tenants.rename({"tenant": "tenant_id"}))
        store.drop_drafts(connection, _windows(timeline, window))
        refused = apply_voids(connection, timeline, history, as_of)
        prior = read_prior_state(connection, store.Scope(known), usage, history, facts, known_at)
        outcomes = approved(connection, store.Scope(known), as_of)
        billed = bill_together(
            timeline, history, usage, window, known_at=known_at, closed_by=as_of, prior=prior, outcomes=outcomes
        )
        report_progress(f"writing {billed.invoices.height} invoices")
        rejected = pl.concat(
            [timeline.rejected, billed.rejected, refused, history.rejected.select(REJECTED_EVENTS.names())]
        )
        notes = credit_notes(timeline, history, prior.consumed.numbers, rejected)
        write_dimensions(connection, timeline, history, rejected, notes, run_at=as_of)
        store_replaced(connection, known, as_of)
        tables, last = _rows(billed, last, as_of, run_id)
        store.insert_invoices(connection, tables)
        store.advance_sequences(connection, last)
        known_with = billed.unchanged.with_columns(known_at_of_tenant(known_at).alias("events_known_at"))
        record_unchanged(connection, UNCHANGED_INVOICES.conform(known_with), as_of)
        report_progress("accounting for every usage event")
        account_for_usage(connection, lake, timeline, history, window[1] + timedelta(days=1))
        problems = _with_month(billed.problems, timeline)
        replace_held(connection, known, window[0], window[1], problems, run_id)
        connection.commit()
    return BillingReport(tables["billing.invoice"], tables["billing.invoice_line"], problems, rejected)


def _with_month(problems: pl.DataFrame, timeline: Timeline) -> pl.DataFrame:
    """``problems`` with ``month``: the first day of the tenant's month that holds the period's last instant."""
    zoned = problems.join(timeline.tenants.select("tenant", "timezone"), on="tenant", how="left", maintain_order="left")
    instant = (
        pl.when(pl.col("invoice_type") == "start")
        .then("period_from")
        .otherwise(pl.col("period_to") - timedelta(microseconds=1))
    )
    dated = local_date(zoned, instant, "timezone", "month")
    return dated.with_columns(pl.col("month").dt.truncate("1mo")).select(HELD_LINES.names())


def _received(lake: Lake, tenants: Collection[str] | None) -> tuple[pl.DataFrame, pl.LazyFrame]:
    """Billing facts and usage of these tenants (None: of all)."""
    facts, usage = lake.scan(BILLING_FACTS_TABLE).collect(), lake.scan(USAGE_TABLE)
    if tenants is None:
        return facts, usage
    own = pl.col("tenant").is_in(list(tenants))
    return facts.filter(own), usage.filter(own)


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
