"""What finalised invoices lack as known now, on the invoices that bill it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from valueverse.invoicing.billing_context import context_under
from valueverse.invoicing.corrections.differences import (
    assigned_to_invoices,
    correction_headers,
    differences,
    recomputed_periods,
    with_terms_of,
)
from valueverse.invoicing.corrections.recomputation import ClosedPeriods, net_lines
from valueverse.invoicing.lines.line_amounts import in_order
from valueverse.invoicing.lines.period_lines import period_lines
from valueverse.invoicing.lines.thresholds import less_threshold_amounts
from valueverse.invoicing.lines.usage.consumption import OUTCOME
from valueverse.invoicing.periods.due_invoices import SHARE, closed_again, shares
from valueverse.invoicing.settlement.threshold_totals import threshold_totals
from valueverse.money import with_decimals
from valueverse.schemas.invoicing import INVOICE, POLICY, WORKING_LINES

if TYPE_CHECKING:
    from datetime import datetime

    from valueverse.invoicing.billing_context import BillingContext
    from valueverse.invoicing.prior_state import PriorState
    from valueverse.invoicing.settlement.adjustment_events import AdjustmentEvents

_INVOICE_ID = ["tenant", "invoice_id"]


def correction_lines(
    prior: PriorState,
    context: BillingContext,
    adjustments: AdjustmentEvents,
    issued: pl.DataFrame,
    to_come: pl.DataFrame,
    closed_by: datetime | None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Adjustment lines (WORKING_LINES) on the invoices that bill them, and the headers of those made for them.

    Args:
        prior: what is already billed, with invoices to recompute.
        context: of the run.
        adjustments: what billing events say about money.
        issued: INVOICE_HEADERS of the invoices that the run makes anyway.
        to_come: ``invoices_to_come`` after the run.
        closed_by: the run's present.
    """
    found = found_differences(prior, context, adjustments, closed_by)
    hosted, own = assigned_to_invoices(found, issued, to_come, prior.issued)
    headers = correction_headers(own, context.timeline, context.terms)
    lines = [_ruled(hosted, issued), _ruled(own, headers)]
    return pl.concat(lines), headers


def _ruled(lines: pl.DataFrame, headers: pl.DataFrame) -> pl.DataFrame:
    """Lines with the policy of their invoices."""
    return WORKING_LINES.conform(lines.drop(POLICY).join(headers.select(*INVOICE, *POLICY), on=INVOICE, how="left"))


def found_differences(
    prior: PriorState, context: BillingContext, adjustments: AdjustmentEvents, closed_by: datetime | None
) -> pl.DataFrame:
    """What ``prior.recompute`` lacks as known now, as adjustment lines (``differences.differences``).

    Invoices that were re-rated under another catalog (``rerate_catalog_hash``) are recomputed under that one.
    """
    parts = []
    for (under,), invoices in prior.recompute.invoices.group_by("rerate_catalog_hash", maintain_order=True):
        if under is None:
            parts.append(_compared(prior, invoices, context, adjustments, closed_by))
        else:
            other = context_under(context, str(under), prior.recompute.catalogs[str(under)], invoices)
            found = _compared(prior, invoices, other, adjustments, closed_by)
            # The terms of the other catalog are numbered by themselves.
            named = with_terms_of(found.rename({"terms": "other"}), context.segments)
            own = pl.when(pl.col("other").is_not_null()).then("terms")
            parts.append(named.with_columns(own).select(found.columns))
    return pl.concat(parts)


def _compared(
    prior: PriorState,
    invoices: pl.DataFrame,
    context: BillingContext,
    adjustments: AdjustmentEvents,
    closed_by: datetime | None,
) -> pl.DataFrame:
    """What these invoices (RECOMPUTED_INVOICES) lack in this context."""
    marks = invoices.select(*_INVOICE_ID, "events_known_at").drop_nulls()
    known = {(tenant, invoice): moment for tenant, invoice, moment in marks.iter_rows()}
    again = invoices.drop("events_known_at")
    not_voided = again.join(prior.issued.voided, on=INVOICE, how="anti", maintain_order="left")
    recomputed, present = recomputed_periods(not_voided, context.segments, closed_by)
    closed_at = not_voided.select(*_INVOICE_ID, pl.col("period_to").alias("closed_at"))
    lines, unclear = _recomputed(
        recomputed.join(closed_at, on=_INVOICE_ID, how="left", maintain_order="left"), prior, context
    )
    gone = again.join(prior.issued.voided, on=INVOICE, how="semi", maintain_order="left")
    compared = with_decimals(pl.concat([present, gone])).join(unclear, on=_INVOICE_ID, how="anti")
    booked = _booked_lines(prior, compared, context)
    threshold_totals_of = threshold_totals(prior.thresholds, recomputed.filter(pl.col("invoice_type") == "period"))
    closings = ClosedPeriods(closed_again(prior.issued.not_voided), prior.consumed.coupons, threshold_totals_of)
    net = net_lines(lines, booked, prior.recompute.discounts, adjustments.coupons, known, closings)
    return differences(compared, net.join(compared, on=_INVOICE_ID, how="semi", maintain_order="left"), booked)


def _booked_lines(prior: PriorState, compared: pl.DataFrame, context: BillingContext) -> pl.DataFrame:
    """What is booked for these invoices, with the terms and plan that held then, as known now."""
    owned = compared.select(*_INVOICE_ID, "subscription", "decimals")
    mine = prior.recompute.lines.join(owned, on=_INVOICE_ID, maintain_order="left")
    of_outcomes = pl.when(pl.col("kind") == OUTCOME).then("terms")
    timed = with_terms_of(mine, context.segments).with_columns(of_outcomes)
    return timed.join(context.terms.sets.select("terms", "plan"), on="terms", how="left", maintain_order="left")


def _recomputed(
    recomputed: pl.DataFrame, prior: PriorState, context: BillingContext
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Lines of these periods with invoice_id and plan; and tenant, invoice_id of those that cannot be priced.

    Args:
        recomputed: the periods as known now, with invoice_id, and ``closed_at``: where the invoice's period ended.
        prior: what is already billed.
        context: of the run.
    """
    shared = recomputed.join(shares(prior.issued.not_voided), on=_INVOICE_ID, how="left", maintain_order="left")
    due = shared.with_columns(pl.col(name).fill_null(value=True) for name in SHARE).with_columns(
        # A period that goes on closes once more, and what follows is billed there.
        pl.col("bills_advance") & ((pl.col("invoice_type") != "period") | (pl.col("period_to") <= pl.col("closed_at")))
    )
    lines, unclear = [], []
    for rows in due.partition_by(SHARE, maintain_order=True) or [due]:
        # Closing invoices of one period are the same invoice by now: each kind of share is recomputed by itself.
        ids = rows.select(*INVOICE, "invoice_id")
        draft, problems = period_lines(rows.drop("invoice_id", "closed_at"), context)
        early = prior.thresholds.lines if rows["bills_period"].all() else prior.thresholds.lines.clear()
        lines.append(less_threshold_amounts(draft.lines, early).join(ids, on=INVOICE))
        unclear.append(problems.join(ids, on=INVOICE).select(_INVOICE_ID).unique())
    plans = context.terms.sets.select("terms", "plan")
    named = pl.concat(lines).drop("plan").join(plans, on="terms", how="left")
    return in_order(named), pl.concat(unclear)
