"""What closes in a window of dates, billed: one pure function of the log, the window and the state of knowledge."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.billing_context import build_billing_context
from valueverse.invoicing.corrections.corrected_invoices import correction_lines
from valueverse.invoicing.draft_invoices import DraftInvoices
from valueverse.invoicing.lines.amount_limits import total_in_range
from valueverse.invoicing.lines.line_amounts import in_order, shown_amounts
from valueverse.invoicing.lines.line_taxes import with_taxes
from valueverse.invoicing.lines.one_offs import one_off_lines
from valueverse.invoicing.lines.outcome_lines import Outcomes
from valueverse.invoicing.lines.period_lines import period_lines
from valueverse.invoicing.lines.thresholds import INVOICE_TYPE as THRESHOLD
from valueverse.invoicing.lines.thresholds import less_threshold_amounts, threshold_lines
from valueverse.invoicing.periods.billing_periods import CLOSE, invoices_to_come
from valueverse.invoicing.periods.due_invoices import closed_periods, invoices_due
from valueverse.invoicing.prior_state import PriorState
from valueverse.invoicing.rendering.invoice_documents import invoices_of
from valueverse.invoicing.rules import CORRECTION
from valueverse.invoicing.settlement.adjustment_events import read_adjustment_events
from valueverse.invoicing.settlement.credit_notes import cap_by_credit_notes
from valueverse.invoicing.settlement.settlement import settle
from valueverse.invoicing.settlement.threshold_totals import threshold_totals
from valueverse.schemas.events import REJECTED_EVENTS
from valueverse.schemas.invoicing import INVOICE, INVOICE_HEADERS, POLICY, WORKING_LINES
from valueverse.schemas.types import INSTANT

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.catalog import CatalogHistory
    from valueverse.invoicing.billing_context import BillingContext
    from valueverse.invoicing.knowledge import KnownAt
    from valueverse.invoicing.settlement.adjustment_events import AdjustmentEvents
    from valueverse.invoicing.settlement.settlement import Settled
    from valueverse.subscriptions import DateOrExpr, Timeline


@dataclass(frozen=True)
class Billed:
    """What closes in a window.

    Attributes:
        invoices: one row per invoice: INVOICE columns, totals in minor units, dates, finalise_after; discounts, taxes
            and credits as lists.
        lines: WORKING_LINES.
        problems: lines that have no amount (tenant, customer, subscription, key, problem): their invoices are held
            back.
        rejected: billing events about coupons, wallets and credit notes that could not be applied.
        unchanged: tenant, invoice_id of finalised invoices that were recomputed, and whose corrections are all of 0 and
            on no invoice.
    """

    invoices: pl.DataFrame
    lines: pl.DataFrame
    problems: pl.DataFrame
    rejected: pl.DataFrame
    unchanged: pl.DataFrame


@dataclass(frozen=True)
class _Run:
    """What the steps of a run read, and none of them changes."""

    context: BillingContext
    adjustments: AdjustmentEvents
    prior: PriorState
    window: tuple[DateOrExpr, DateOrExpr]
    known_at: KnownAt | None
    closed_by: datetime | None

    @cached_property
    def to_come(self) -> pl.DataFrame:
        """``invoices_to_come`` after the run."""
        return invoices_to_come(self.context.segments, self.context.timeline.tenants, self.window[1], self.closed_by)


def bill(
    timeline: Timeline,
    history: CatalogHistory,
    usage: pl.LazyFrame,
    window: tuple[DateOrExpr, DateOrExpr],
    *,
    known_at: KnownAt | None,
    closed_by: datetime | None = None,
    prior: PriorState | None = None,
    outcomes: pl.DataFrame | None = None,
) -> Billed:
    """Bill every period that ends in (from, to] and every subscription that starts in [from, to), tenant-local days.

    Args:
        timeline: subscriptions as known at ``known_at``.
        history: their catalogs.
        usage: the usage table.
        window: from, to.
        known_at: state of knowledge; None: all that is recorded, and documents say the close of their period.
        closed_by: leave out what closes later than this instant (the run's present).
        prior: what is already billed; None: nothing is, and credit notes name invoices by the numbers these would get.
        outcomes: approved proposals (APPROVED_PROPOSALS); None: there are none.
    """
    context = build_billing_context(timeline, history, usage, known_at)
    adjustments = read_adjustment_events(timeline, history)
    run = _Run(context, adjustments, prior or PriorState(), window, known_at, closed_by)
    draft, unpriced = _with_periods(run)
    draft = _with_thresholds(draft, run)
    draft, refused = _with_outcomes(draft, run, outcomes)
    issued = draft.issued()
    draft = _with_one_offs(draft, run, issued)
    draft = _with_corrections(draft, run, issued)
    lines, untaxed = _taxed(draft, run)
    settled = _settled(draft, lines, run, numbered=prior is not None)
    return Billed(
        settled.invoices,
        settled.lines,
        pl.concat([unpriced, untaxed]),
        pl.concat([adjustments.rejected, settled.rejected, refused]),
        _unchanged(lines, settled.invoices),
    )


def _unchanged(lines: pl.DataFrame, issued: pl.DataFrame) -> pl.DataFrame:
    """The invoices that corrections of 0 are of, which are on none of the invoices ``issued``."""
    alone = lines.filter(pl.col("invoice_type") == CORRECTION).join(issued, on=INVOICE, how="anti")
    return alone.select("tenant", invoice_id="corrected_invoice_id").drop_nulls().unique()


def _with_periods(run: _Run) -> tuple[DraftInvoices, pl.DataFrame]:
    """The invoices that close or start in the window and do not stand yet, with the lines of their periods; and what
    holds others back."""
    context, issued = run.context, run.prior.issued
    tenants = context.timeline.tenants
    due = invoices_due(context.segments, tenants, run.window, run.closed_by, issued)
    return period_lines(due, context)


def _with_thresholds(draft: DraftInvoices, run: _Run) -> DraftInvoices:
    """With the threshold invoices of running periods; closing invoices bill what these left."""
    reached, billed = threshold_lines(run.context, run.window, closed_by=run.closed_by, prior=run.prior)
    rest = DraftInvoices(draft.headers, less_threshold_amounts(draft.lines, billed))
    return rest.plus(reached, _headers(reached, run.context.segments))


def _with_outcomes(
    draft: DraftInvoices, run: _Run, proposals: pl.DataFrame | None
) -> tuple[DraftInvoices, pl.DataFrame]:
    """With the lines of approved proposals; and the proposals that cannot be billed (REJECTED_EVENTS)."""
    if proposals is None or proposals.is_empty():
        return draft, REJECTED_EVENTS.to_frame()
    context = run.context
    read = Outcomes.read(proposals, context.segments, context.terms)
    placed = read.placed(draft.headers, run.prior.issued, run.closed_by)
    if placed.is_empty():
        return draft, read.refused
    lines = shown_amounts(placed, context.terms)
    return draft.plus(lines, _headers(lines, context.segments)), read.refused


def _with_one_offs(draft: DraftInvoices, run: _Run, issued: pl.DataFrame) -> DraftInvoices:
    """With the one-off charges that no invoice bills yet, on ``issued`` invoices or on their own."""
    waiting = run.adjustments.one_offs.join(run.prior.one_offs, on=["tenant", "key"], how="anti")
    if run.closed_by is not None:
        waiting = waiting.filter(pl.col("time") <= pl.lit(run.closed_by).cast(INSTANT))
    if waiting.is_empty():
        return draft
    # A threshold invoice bills only a part of what its period comes to, and a coupon's part of it.
    closing = issued.filter(pl.col("invoice_type") != THRESHOLD)
    return draft.plus(*one_off_lines(waiting, closing, run.to_come, run.prior.issued, run.context))


def _with_corrections(draft: DraftInvoices, run: _Run, issued: pl.DataFrame) -> DraftInvoices:
    """With what finalised invoices lack as known now, on ``issued`` invoices or on their own."""
    if run.prior.recompute.invoices.is_empty():
        return draft
    return draft.plus(*correction_lines(run.prior, run.context, run.adjustments, issued, run.to_come, run.closed_by))


def _taxed(draft: DraftInvoices, run: _Run) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The lines with their taxes, in the order of invoices, corrections capped by credit notes; and what holds other
    invoices back (INVOICE, key, problem)."""
    context, consumed = run.context, run.prior.consumed
    plans = context.terms.sets.select("terms", "plan")
    named = draft.lines.drop("plan").join(plans, on="terms", how="left", maintain_order="left")
    taxed = with_taxes(named, context.terms.taxes, context.timeline.tax_statuses, context.history.catalogs)
    lines = total_in_range(cap_by_credit_notes(taxed, run.adjustments.notes, consumed.numbers, consumed.corrected))
    unknown = lines.filter(pl.col("tax_problem").is_not_null())
    good = lines.join(unknown.select(INVOICE).unique(), on=INVOICE, how="anti")
    return (
        WORKING_LINES.conform(in_order(good)),
        unknown.select(*INVOICE, "key", pl.col("tax_problem").alias("problem")),
    )


def _settled(draft: DraftInvoices, lines: pl.DataFrame, run: _Run, *, numbered: bool) -> Settled:
    """The invoices totalled: coupons, taxes, credit notes and wallets."""
    prior, zones = run.prior, draft.headers.select(*INVOICE, "timezone")
    invoices = invoices_of(lines, run.context.timeline.tenants, zones, run.known_at, draft.without_lines())
    return settle(
        invoices,
        lines,
        run.adjustments,
        prior.consumed,
        numbered=numbered,
        earlier=threshold_totals(prior.thresholds, invoices),
        closed=closed_periods(prior.issued.not_voided),
    )


def _headers(lines: pl.DataFrame, segments: pl.DataFrame) -> pl.DataFrame:
    """INVOICE_HEADERS of invoices beside the closing ones, by their last lines."""
    zones = segments.select("tenant", "subscription", "timezone").unique(["tenant", "subscription"], keep="last")
    headers = (
        in_order(lines)
        .select(*INVOICE, "currency", "terms", *POLICY)
        .unique(INVOICE, keep="last", maintain_order=True)
        .join(zones, on=["tenant", "subscription"], how="left")
    )
    return INVOICE_HEADERS.conform(headers.with_columns(CLOSE.alias("close")))
